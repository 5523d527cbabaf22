"""What the models object to, in words for the person who wrote the file.

pydantic reports one mistake several times over for unions, names their branches in the place, and speaks to programmers;
here each becomes one problem with the trail to where it stands.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from alertd.reporting.properties import suggest
from alertd.rulebook.elsewhere import meant_key
from alertd.rulebook.findings import Finding, Severity
from alertd.rulebook.located import Document, Trail
from alertd.rulebook.misfit import Misfit, show
from alertd.rulebook.model import Defaults, RuleEntry

M = TypeVar("M", bound=BaseModel)

_WORDS = {
    "string_type": "text is expected here; if it looks like a number, put it in quotes",
    "bool_type": "true or false is expected here",
    "bool_parsing": "true or false is expected here",
    "int_type": "a whole number is expected here",
    "int_parsing": "a whole number is expected here",
    "float_type": "a number is expected here",
    "float_parsing": "a number is expected here",
    "list_type": "a list is expected here",
    "tuple_type": "a list is expected here",
    "dict_type": "keys with values are expected here",
    "model_type": "keys with values are expected here",
}
_ORDINARY = 6  # with more keys than that, listing them helps nobody


@dataclass(frozen=True)
class Problem:
    """Something wrong, and the trail to it in the data."""

    message: str
    trail: Trail = ()
    suggestion: str | None = None
    at_key: bool = False
    severity: Severity = "error"

    def below(self, *steps: str | int) -> Problem:
        """The same, seen from further up."""
        return replace(self, trail=(*steps, *self.trail))

    def locate(self, document: Document, rule: str | None = None) -> Finding:
        """The same in the file."""
        return document.finding(
            self.trail,
            self.message,
            suggestion=self.suggestion,
            at_key=self.at_key,
            severity=self.severity,
            rule=rule,
        )


def validate(model: type[M], raw: Mapping[str, Any]) -> tuple[M, list[Problem]]:
    """The typed value of everything that is right, and the problems of the rest. No key of the model is required."""
    problems = list(empty(model, raw))
    usable = _without(raw, problems) if problems else raw
    try:
        return model.model_validate(usable), problems
    except ValidationError as error:
        found = translate(error, model, usable, getattr(model, "noun", ""))
        return model.model_validate(_without(usable, found)), problems + found


def translate(error: ValidationError, model: type[BaseModel], raw: object, noun: str) -> list[Problem]:
    """One problem for each mistake; `noun` is what the model is called."""
    found: list[Problem] = []
    branches: dict[Trail, Problem] = {}
    details = error.errors(include_url=False, include_input=False)
    for detail in (each for each in details if not _follows(each, details)):
        missing = detail["type"] == "missing"
        steps = detail["loc"][:-1] if missing else detail["loc"]
        trail = _existing(steps, raw)
        problem = _problem(detail, model, trail, noun)
        if len(trail) == len(steps):
            found.append(problem)
        elif trail[:1] not in branches or len(branches[trail[:1]].trail) < len(problem.trail):
            branches[trail[:1]] = problem  # of a union's branches the one that understood most
    return found + list(branches.values())


def unknown_key(key: str, model: type[BaseModel], noun: str, trail: Trail = ()) -> Problem:
    """A key that nobody knows, with the one that was probably meant."""
    known = known_keys(model)
    if model is Defaults and key in known_keys(RuleEntry):
        return Problem(f'"{key}" cannot stand in defaults; each rule has its own', trail, at_key=True)
    message = f"{show(key)} is not a key of {noun}"
    if elsewhere := meant_key(key, known):
        return Problem(f"{message}; {elsewhere.told}", trail, elsewhere.key, at_key=True)
    if len(known) <= _ORDINARY:
        message += f"; it has {', '.join(known)}"
    return Problem(message, trail, suggest(key, known), at_key=True)


def known_keys(model: type[BaseModel]) -> tuple[str, ...]:
    """The keys of a model, as files have them."""
    return tuple(field.alias or name for name, field in model.model_fields.items())


def _problem(detail: ErrorDetails, model: type[BaseModel], trail: Trail, noun: str) -> Problem:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        inner = _inner(model, trail[:-1])
        return unknown_key(str(trail[-1]), inner, noun if inner is model else getattr(inner, "noun", str(trail[-2])), trail)
    if kind == "missing":
        return Problem(f'{noun} needs "{detail["loc"][-1]}"', trail)
    prefix = f"{trail[0]}: " if trail else ""
    problem = context.get("error")
    if isinstance(problem, Misfit):
        message = prefix + str(problem)
        return Problem(message, (*trail, *problem.trail), problem.suggestion, problem.at_key)
    return Problem(prefix + _said(kind, detail["msg"], context) + _example(kind, model, trail), trail)


def _follows(detail: ErrorDetails, details: list[ErrorDetails]) -> bool:
    """Whether too few are left only because others are wrong."""
    place = detail["loc"]
    return detail["type"] == "too_short" and any(each["loc"][: len(place)] == place != each["loc"] for each in details)


def _example(kind: str, model: type[BaseModel], trail: Trail) -> str:
    """How the mapping looks that was expected, where its field says so."""
    if kind != "model_type":
        return ""
    field = model.model_fields.get(str(trail[-1])) if trail else None
    example = next((each for each in (field.examples if field else None) or () if isinstance(each, dict)), None)
    return f", such as {{{', '.join(f'{key}: {value}' for key, value in example.items())}}}" if example else ""


def _said(kind: str, message: str, context: Mapping[str, Any]) -> str:
    if kind == "value_error":
        return str(context.get("error", message))
    if kind == "literal_error":
        return f"one of {context['expected']} is expected here"
    if kind == "too_short":
        return f"at least {context['min_length']} must stand here"
    if kind == "too_long":
        return f"at most {context['max_length']} can stand here"
    return _WORDS.get(kind, message[:1].lower() + message[1:])


def empty(model: type[BaseModel], raw: Mapping[str, Any]) -> Iterator[Problem]:
    """Keys that nothing stands under: neither a value nor the wish to have none."""
    for key, value in raw.items():
        if value is None:
            yield Problem(f'"{key}" has no value; write one (in quotes if it begins with #) or leave the key out', (key,))
        elif isinstance(value, dict) and (inner := _inner(model, (key,))) is not model:
            yield from (each.below(key) for each in empty(inner, value))


def _without(raw: Mapping[str, Any], problems: list[Problem]) -> dict[str, Any]:
    broken = {each.trail[0] for each in problems if each.trail}
    return {key: value for key, value in raw.items() if key not in broken}


def _existing(steps: Trail, raw: object) -> Trail:
    """The steps that lead somewhere in the data; others name a union's branch."""
    trail: list[str | int] = []
    for step in steps:
        known = step in raw if isinstance(raw, dict) else isinstance(raw, list) and step in range(len(raw))
        if known:
            raw = raw[step]  # type: ignore[index]  # a mapping with that key or a list that is long enough
            trail.append(step)
    return tuple(trail)


def _inner(model: type[BaseModel], trail: Trail) -> type[BaseModel]:
    """The model of what stands at the end of the trail; the last one that is known."""
    for step in trail:
        model = _models(model).get(step, model)
    return model


@cache
def _models(model: type[BaseModel]) -> Mapping[str | int, type[BaseModel]]:
    """The keys of a model under which keys of another one stand."""
    found: dict[str | int, type[BaseModel]] = {}
    for name, field in model.model_fields.items():
        parts = (part for part in _parts(field.annotation) if isinstance(part, type) and issubclass(part, BaseModel))
        for part in parts:
            found[field.alias or name] = part
    return found


def _parts(annotation: Any) -> Iterator[Any]:
    yield annotation
    for part in get_args(annotation):
        yield from _parts(part)
