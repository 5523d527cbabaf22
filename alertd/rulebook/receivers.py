"""receivers.yaml: names of destinations, each with one kind of channel and its options."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from alertd import channels
from alertd.facts import Level
from alertd.reporting.properties import suggest
from alertd.rulebook.findings import Finding
from alertd.rulebook.located import Document
from alertd.rulebook.misfit import Misfit, few, show
from alertd.rulebook.model import ReceiversFile, RouteEntry
from alertd.rulebook.problems import Problem, empty, known_keys, translate, unknown_key, validate
from alertd.rulebook.rule import Receiver, Route
from alertd.rulebook.values import read_name

_OF_RULES = ("level", "rule", "owner")  # what a route may match beside labels

SEND_RESOLVED = "send_resolved"  # an option of every channel, which the channel itself never sees


@dataclass(frozen=True)
class Roster:
    """The receivers there are. `names` also has those that are wrong otherwise; None: nobody can tell."""

    receivers: dict[str, Receiver] = field(default_factory=dict)
    fallback: str | None = None
    names: frozenset[str] | None = frozenset()
    findings: tuple[Finding, ...] = ()
    routes: tuple[Route, ...] = ()
    mentions: tuple[Finding, ...] = ()  # where routes name rules
    matches: tuple[Finding, ...] = ()  # where the routes say what they match, in their order


def read_receivers(document: Document) -> Roster:
    """Read receivers.yaml."""
    data = document.data
    if not isinstance(data, dict):
        problem = Problem('receivers.yaml begins with "receivers:", and the names follow below it')
        return Roster(names=None, findings=(problem.locate(document),))
    unknown = (
        unknown_key(key, ReceiversFile, ReceiversFile.noun, (key,)) for key in data if key not in known_keys(ReceiversFile)
    )
    problems = list(unknown)
    given = data.get("receivers")
    if not isinstance(given, dict):
        if "receivers" in data or not problems:
            problems.append(Problem('receivers.yaml needs "receivers:", names with their channels', ("receivers",)))
        return Roster(names=None, findings=tuple(each.locate(document) for each in problems))
    found: dict[str, Receiver] = {}
    for name, raw in given.items():
        receiver, more = _receiver(name, raw)
        problems += [each.below("receivers", name) for each in more]
        found |= {name: receiver} if receiver else {}
    routes, more = _routes(data.get("routes"), given)
    problems += [*_fallback(data, given), *more]
    findings = tuple(each.locate(document) for each in problems)
    named = ((index, route.rule) for index, route in routes.items() if route.rule)
    mentions = tuple(document.finding(("routes", index, "match", "rule"), "", rule=rule) for index, rule in named)
    matches = tuple(document.finding(("routes", index, "match"), "", severity="warning") for index in routes)
    return Roster(found, data.get("fallback"), frozenset(given), findings, tuple(routes.values()), mentions, matches)


def _fallback(data: dict[str, Any], given: dict[str, Any]) -> list[Problem]:
    name = data.get("fallback")
    if "fallback" not in data or (isinstance(name, str) and name in given):
        return []
    meant = suggest(name, given)
    return [Problem(f"fallback: there is no receiver {show(name)}{'' if meant else few(given)}", ("fallback",), meant)]


def _routes(raw: object, receivers: dict[str, Any]) -> tuple[dict[int, Route], list[Problem]]:
    """The routes by their place in the list."""
    if raw is None:
        return {}, []
    if not isinstance(raw, list):
        return {}, [Problem("routes are a list; each is written like {match: {team: support}, to: pager}", ("routes",))]
    found: dict[int, Route] = {}
    problems: list[Problem] = []
    for index, each in enumerate(raw):
        route, more = _route(each, receivers)
        problems += [problem.below("routes", index) for problem in more]
        found |= {index: route} if route else {}
    return found, problems


def _route(raw: object, receivers: dict[str, Any]) -> tuple[Route | None, list[Problem]]:
    if not isinstance(raw, dict):
        return None, [Problem(f"a route is written like {{match: {{team: support}}, to: pager}}, not {show(raw)}")]
    entry, problems = validate(RouteEntry, raw)
    for key, value in (("match", entry.match), ("to", entry.to)):
        if value is None and key not in raw:
            problems.append(Problem(f'a route needs "{key}", as in {{match: {{team: support}}, to: pager}}'))
    for name in entry.to or ():
        if name not in receivers:
            meant = suggest(name, receivers)
            problems.append(Problem(f"there is no receiver {show(name)}{'' if meant else few(receivers)}", ("to",), meant))
    if problems or entry.match is None or entry.to is None:
        return None, problems
    labels = {key: value for key, value in entry.match.items() if key not in _OF_RULES}
    level = Level(entry.match["level"]) if "level" in entry.match else None
    return Route(entry.to, labels, level, entry.match.get("rule"), entry.match.get("owner")), problems


def _receiver(name: str, raw: object) -> tuple[Receiver | None, list[Problem]]:
    problems = []
    try:
        read_name(name)
    except Misfit as problem:
        problems.append(Problem(str(problem), (), problem.suggestion, at_key=True))
    kinds = channels.names()
    if isinstance(raw, dict) and (kind := _kind_of_options(raw)):
        options = ", ".join(f"{key}: ..." for key in raw)
        message = f"the kind of channel is missing; write {{{kind}: {{{options}}}}}"
        return None, [*problems, Problem(message, (next(iter(raw)),), at_key=True)]
    if not isinstance(raw, dict) or len(raw) != 1:
        message = f"a receiver has one kind of channel with its options; the kinds are {', '.join(kinds)}"
        return None, [*problems, Problem(message)]
    kind, options = next(iter(raw.items()))
    if kind not in kinds:
        message = f"there is no kind of channel {show(kind)}; there are {', '.join(kinds)}"
        return None, [*problems, Problem(message, (kind,), suggest(kind, kinds), at_key=True)]
    if not isinstance(options, dict):
        return None, [*problems, Problem(f"{kind} needs its options, as keys with values", (kind,))]
    receiver, more = _channel(name, kind, options)
    return (None if problems else receiver), problems + [each.below(kind) for each in more]


def _kind_of_options(raw: dict[str, Any]) -> str | None:
    """The kind of channel whose options stand where the kind belongs, if they are those of one kind only."""
    kinds = channels.names()
    if not raw or raw.keys() & set(kinds):
        return None
    fitting = [kind for kind in kinds if raw.keys() <= {*known_keys(channels.find(kind)), SEND_RESOLVED}]
    return fitting[0] if len(fitting) == 1 else None


def _channel(name: str, kind: str, options: dict[str, Any]) -> tuple[Receiver | None, list[Problem]]:
    found = channels.find(kind)
    if problems := list(empty(found, options)):
        return None, problems
    send_resolved = options.get(SEND_RESOLVED, True)
    if not isinstance(send_resolved, bool):
        problems.append(Problem(f"{SEND_RESOLVED} is true or false, not {show(send_resolved)}", (SEND_RESOLVED,)))
    own = {key: value for key, value in options.items() if key != SEND_RESOLVED}
    try:
        channel = found.model_validate(own)
    except ValidationError as error:
        return None, problems + translate(error, found, own, f"a receiver of kind {kind}")
    return (None if problems else Receiver(name, kind, channel, send_resolved)), problems
