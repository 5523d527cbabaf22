"""From one file's located data to its rules, with everything that is wrong in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from alertd.rulebook import checks
from alertd.rulebook.audience import strangers, told
from alertd.rulebook.checks import Draft
from alertd.rulebook.findings import Finding
from alertd.rulebook.lints import lint
from alertd.rulebook.located import Document, Trail
from alertd.rulebook.lookback import CalendarWindow
from alertd.rulebook.misfit import show
from alertd.rulebook.model import Defaults, RuleEntry, RuleFile
from alertd.rulebook.problems import Problem, known_keys, unknown_key, validate
from alertd.rulebook.relations import Known, build_comparison, related
from alertd.rulebook.rule import Escalation, Limit, Rule

_ENOUGH = 100  # errors in one file, after which the rest is not looked at

# Keys that go into the rule as they are; the others need a word with each other first.
_BUILT = {"notify", "as_waited", "title", "compare", "calendar", "escalate", "no_data", "every", "cron", "window"}
_COPIED = ({field.name for field in fields(Rule)} & set(RuleEntry.model_fields)) - _BUILT
_RHYTHM = ("every", "cron")
_KEYS = {name: field.alias or name for name, field in RuleEntry.model_fields.items()}


@dataclass(frozen=True)
class Claim:
    """An id that a rule of a file wants to have, right or wrong otherwise."""

    id: str
    document: Document
    trail: Trail


@dataclass(frozen=True)
class Reading:
    """What one file holds."""

    rules: tuple[Rule, ...]
    claims: tuple[Claim, ...]
    findings: tuple[Finding, ...]
    mentions: tuple[Claim, ...] = ()  # ids of other rules that its rules speak of


def read_rules(document: Document, file: str, known: Known) -> Reading:
    """Read one rule file. `file` is how its rules name it; `known` are the names of other files."""
    rules: list[Rule] = []
    claims: list[Claim] = []
    mentions: list[Claim] = []
    findings = [each.locate(document) for each in _outline(document.data)]
    entries = _entries(document.data)
    given, defaults, problems = _defaults(document.data)
    findings += [each.locate(document) for each in problems]
    for index, raw in entries:
        draft, problems = _draft(index, raw, given, defaults)
        rule, more = _rule(draft, document, file, known, broken=bool(problems))
        name = raw["id"] if isinstance(raw.get("id"), str) else None
        findings += [each.locate(document, name) for each in (*problems, *more)]
        rules += [rule] if rule else []
        others = enumerate(draft.entry.quiet_while or ())
        mentions += [Claim(other, document, draft.trail("quiet_while", place)) for place, other in others]
        claims += [Claim(name, document, ("rules", index, "id"))] if name else []
        if sum(each.severity == "error" for each in findings) > _ENOUGH:
            break
    return Reading(tuple(rules), tuple(claims), tuple(findings), tuple(mentions))


def _outline(data: Any) -> Iterator[Problem]:
    """Whether it is a rule file at all."""
    if data is None:
        yield Problem("there are no rules in this file", severity="warning")
        return
    if not isinstance(data, dict):
        yield Problem('a rule file begins with "rules:", and its rules follow as a list')
        return
    yield from (unknown_key(key, RuleFile, RuleFile.noun, (key,)) for key in data if key not in known_keys(RuleFile))
    rules = data.get("rules")
    if not isinstance(rules, list):
        if "rules" in data or data.keys() <= set(known_keys(RuleFile)):  # else it is there under a wrong name
            yield Problem(*_no_rules(data))
        return
    if not rules:
        yield Problem("there are no rules in this file", ("rules",), severity="warning")
    for index, rule in enumerate(rules):
        if not isinstance(rule, dict):
            yield Problem(f"a rule has keys such as id: and measure:, and this is {show(rule)}", ("rules", index))


def _no_rules(data: dict[str, Any]) -> tuple[str, Trail]:
    if "rules" not in data:
        return 'a rule file needs "rules:", and its rules follow as a list', ()
    return 'rules are a list; each begins with "- id:"', ("rules",)


def _entries(data: Any) -> list[tuple[int, dict[str, Any]]]:
    rules = data.get("rules") if isinstance(data, dict) else None
    entries = enumerate(rules) if isinstance(rules, list) else ()
    return [(index, rule) for index, rule in entries if isinstance(rule, dict)]


def _defaults(data: Any) -> tuple[Mapping[str, Any], Defaults, list[Problem]]:
    raw = data.get("defaults", {}) if isinstance(data, dict) else {}
    if not isinstance(raw, dict):
        return {}, Defaults.model_validate({}), [Problem("defaults are keys of rules with values", ("defaults",))]
    typed, problems = validate(Defaults, raw)
    return raw, typed, [each.below("defaults") for each in problems]


def _draft(index: int, raw: dict[str, Any], given: Mapping[str, Any], defaults: Defaults) -> tuple[Draft, list[Problem]]:
    entry, problems = validate(RuleEntry, raw)
    inherited = {name: getattr(defaults, name) for name in defaults.model_fields_set if not _given(_KEYS[name], raw)}
    if defaults.labels and entry.labels:
        inherited["labels"] = defaults.labels | entry.labels
    typed = entry.model_copy(update=inherited) if inherited else entry
    meant = frozenset(each.suggestion for each in problems if each.at_key and each.suggestion and len(each.trail) == 1)
    unclear = typed.compare is None and ("compare" in raw or "compare" in meant)
    compare, more = (None, []) if unclear else build_comparison(typed)
    return Draft(index, raw, given, typed, compare, meant), [each.below("rules", index) for each in (*problems, *more)]


def _given(key: str, raw: dict[str, Any]) -> bool:
    """Whether the rule says it itself; `every` and `cron` are two words for one thing."""
    return key in raw or (key in _RHYTHM and any(each in raw for each in _RHYTHM))


def _rule(draft: Draft, document: Document, file: str, known: Known, *, broken: bool) -> tuple[Rule | None, list[Problem]]:
    limits, problems = checks.limits(draft)
    problems += [*checks.complete(draft), *checks.waiting(draft), *strangers(draft, known)]
    problems += related(draft, known)
    if broken or not (limits or draft.entry.report) or any(each.severity == "error" for each in problems):
        return None, problems
    rule = _build(draft, limits, known, Place(file, document.spot(("rules", draft.index))[0] + 1))
    problems += lint(draft, rule, known) if rule else ()
    return rule, problems


@dataclass(frozen=True)
class Place:
    """Where a rule stands."""

    file: str
    line: int


def _build(draft: Draft, limits: tuple[Limit, ...], known: Known, place: Place) -> Rule | None:
    entry, compare = draft.entry, draft.compare
    times = _times(draft)
    if entry.id is None or entry.measure is None or compare is None or times is None:
        return None  # they come from defaults that are wrong themselves
    values = {name: getattr(entry, name) for name in entry.model_fields_set & _COPIED}
    return Rule(
        title=entry.title or entry.id.replace("-", " ").capitalize(),
        limits=limits,
        notify=told(draft),
        as_waited=bool(entry.as_waited) and entry.measure.waits,
        compare=compare,
        calendar=known.calendars.get(entry.calendar) if entry.calendar else None,
        escalate=_escalation(entry),
        no_data=entry.no_data.level if entry.no_data else None,
        file=place.file,
        line=place.line,
        **values | times,
    )


def _times(draft: Draft) -> dict[str, Any] | None:
    """When it is checked and how far it looks back; calendars and schedules are those of the rule's time zone."""
    entry, zone = draft.entry, draft.entry.timezone or "UTC"
    own = draft.compare.own_window if draft.compare else None
    window = own if own is not None else entry.window
    cron = replace(entry.cron, timezone=zone) if entry.cron else None
    every = cron.every if cron else entry.every
    if window is None or every is None:
        return None
    if isinstance(window, CalendarWindow):
        local = replace(window, timezone=zone)
        return {"every": every, "cron": cron, "window": local.length, "lookback": local}
    return {"every": every, "cron": cron, "window": window}


def _escalation(entry: RuleEntry) -> Escalation | None:
    found = entry.escalate
    return Escalation(found.after, found.notify) if found and found.after is not None and found.notify else None
