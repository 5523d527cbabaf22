"""What the keys of one entry of a test must have to do with each other and with the rulebook."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from alertd.reporting.properties import suggest
from alertd.rulebook.misfit import show
from alertd.rulebook.problems import Problem
from alertd.rulebook.rule import Rule, Rulebook
from alertd.ruletests.case import OUTAGES, Happening, Value
from alertd.ruletests.model import AlertEntry, CaseEntry, EventEntry, SeriesEntry
from alertd.units import parse_value

# What each event needs beside `at`, with an example, and what it may have.
_NEEDS = {Happening.SILENCE: "until: 2h", Happening.LATE_ROWS: "by: 90s"} | dict.fromkeys(OUTAGES, "for: 10m")
_MAY_HAVE = {Happening.RESTART: ("for",), Happening.SILENCE: ("rule", "group", "labels")}


class Disagreement(Exception):
    """An entry that cannot be used."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def names(entry: CaseEntry, book: Rulebook) -> Iterator[Problem]:
    """Whether all rules and receivers that a test names exist."""
    for index, name in enumerate(entry.rules or ()):
        yield from _known("rule", name, book.rules, ("rules", index))
    for receiver in entry.notices or ():
        if receiver is not None:
            yield from _known("receiver", receiver, book.receivers, ("notices", receiver), at_key=True)


def series(entry: SeriesEntry, raw: Mapping[str, Any], values: Mapping[str, Value]) -> Iterator[Problem]:
    """Whether it says when its conversations are created, and names no one conversation several times."""
    if "at" in raw and any(key in raw for key in ("each", "from", "to")):
        yield Problem("at is one moment, each with from and to are many; keep one of them", ("at",), at_key=True)
    elif "at" not in raw and not ("each" in raw and "to" in raw):
        missing = "to" if "each" in raw else "each" if "to" in raw or "from" in raw else "at"
        such_as = {"at": "at: 5m, or each: 1m with from: 0m and to: 60m", "each": "each: 1m", "to": "to: 60m"}[missing]
        yield Problem(f'conversations need "{missing}", such as {such_as}')
    elif entry.to is not None and entry.to <= (entry.from_ or 0):
        yield Problem("no conversation is created before `to`, which is exclusive; it must be later than `from`", ("to",))
    if "id" in values and ("at" not in raw or (entry.count or 1) > 1):
        yield Problem(
            "an id is that of one conversation; leave it out, and they are numbered in the order of the file", ("id",)
        )


def event(entry: EventEntry, raw: Mapping[str, Any], book: Rulebook) -> Iterator[Problem]:
    """Whether it has what goes with that event, and nothing else."""
    if "at" not in raw or "do" not in raw:
        yield Problem(f'an event needs "{"do" if "at" in raw else "at"}", such as {{at: 80m, do: restart, for: 3m}}')
    if entry.do is None:
        return
    need = _NEEDS.get(entry.do, "")
    key = need.partition(":")[0]
    if need and key not in raw:
        yield Problem(f'{entry.do} needs "{key}", such as {need}', ("do",))
    for other in raw:
        if other not in ("at", "do", key, *_MAY_HAVE.get(entry.do, ())) and other in _EVENT_KEYS:
            yield Problem(f'"{other}" does not go with {entry.do}; leave it out', (other,), at_key=True)
    if entry.until is not None and entry.at is not None and entry.until <= entry.at:
        yield Problem("a silence is over after it has begun; until is a time of the test, like at", ("until",))
    if entry.rule is not None:
        yield from _known("rule", entry.rule, book.rules, ("rule",))


_EVENT_KEYS = frozenset({"for", "until", "by", "rule", "group", "labels"})


def value(entry: AlertEntry, rules: Collection[str], book: Rulebook) -> float | None:
    """The value in its rule's unit. Disagreement where the rule, its level, its group or the value's unit is wrong."""
    if entry.rule is None:
        found = [book.rules[name] for name in rules if name in book.rules]
        if entry.value is not None and len(found) != 1:
            raise Disagreement(Problem("a value is in its rule's unit; name the rule, such as rule: slow-first-answer"))
        if entry.level is None and entry.group is None and entry.value is None:
            raise Disagreement(Problem("an expected alert needs its rule, such as {rule: slow-first-answer, level: warning}"))
        return _read(entry, found[0]) if entry.value is not None else None
    for problem in _known("rule", entry.rule, book.rules, ("rule",)):
        raise Disagreement(problem)
    if entry.rule not in rules and all(name in book.rules for name in rules):  # else it is the list that is wrong
        raise Disagreement(Problem(f"this test does not check {entry.rule}; add it to the test's rules", ("rule",)))
    rule = book.rules[entry.rule]
    for problem in _possible(entry, rule):
        raise Disagreement(problem)
    return _read(entry, rule)


def _possible(entry: AlertEntry, rule: Rule) -> Iterator[Problem]:
    """Whether the rule can have such an alert at all."""
    if rule.report:
        yield Problem(f"{rule.id} is a report and never fires; its messages are told in notices", ("rule",))
    by = "" if entry.group is None else entry.group.partition("=")[0]
    if entry.group is not None and rule.by != by:
        groups = "has one alert for all conversations" if rule.by is None else f"makes its groups by {rule.by}"
        yield Problem(f"{rule.id} {groups}, not by {by}", ("group",))
    if entry.level is not None and rule.limits and entry.level not in {limit.level for limit in rule.limits}:
        yield Problem(f"{rule.id} has no level {entry.level.value}", ("level",))


def _read(entry: AlertEntry, rule: Rule) -> float | None:
    if entry.value is None:
        return None
    try:
        return parse_value(entry.value, rule.unit)
    except ValueError as problem:
        raise Disagreement(Problem(f"value: {problem}", ("value",))) from None


def _known(
    noun: str, name: str, known: Collection[str], trail: tuple[str | int, ...], *, at_key: bool = False
) -> Iterator[Problem]:
    if name not in known:
        yield Problem(f"there is no {noun} {show(name)}", trail, suggest(name, known), at_key=at_key)
