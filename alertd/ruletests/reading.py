"""From one test file's located data to its tests, with everything that is wrong in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from alertd.rulebook.findings import Finding
from alertd.rulebook.located import Document, Trail
from alertd.rulebook.misfit import Misfit, show
from alertd.rulebook.model import Entry
from alertd.rulebook.problems import Problem, known_keys, unknown_key, validate
from alertd.rulebook.rule import Rulebook
from alertd.ruletests import agreeing
from alertd.ruletests.case import Case, Event, Expected, Moment, Series, Value
from alertd.ruletests.model import AlertEntry, CaseEntry, CaseFile, EventEntry, MomentEntry, SeriesEntry
from alertd.ruletests.properties import property_name, property_value

E = TypeVar("E", bound=Entry)
T = TypeVar("T")

# More conversations than that in one test are a mistake in `each` or `to`.
MOST_CONVERSATIONS = 500_000
MOST_CHECKS = 200_000  # some minutes of playing


@dataclass
class _Reader:
    """One test as it is read, and what is wrong with it."""

    entry: CaseEntry
    book: Rulebook
    document: Document
    trail: Trail
    problems: list[Problem] = field(default_factory=list)

    def parts(self, key: str, read: Callable[[Mapping[str, Any], Trail], T | None]) -> tuple[T, ...]:
        """What stands in a list of the test."""
        found = []
        for index, raw in enumerate(getattr(self.entry, key) or ()):
            if isinstance(raw, dict):
                part = read(raw, (key, index))
                found += [] if part is None else [part]
            else:
                self.say(Problem(f"{key} is a list of keys with values, and this is {show(raw)}", (key, index)))
        return tuple(found)

    def say(self, *problems: Problem, below: Trail = ()) -> None:
        self.problems += [each.below(*below) for each in problems]

    def typed(self, model: type[E], raw: Mapping[str, Any], trail: Trail) -> E:
        """The right values of an entry; what is wrong with others is said."""
        entry, problems = validate(model, raw)
        self.say(*problems, below=trail)
        return entry

    def line(self, trail: Trail) -> int:
        return self.document.spot((*self.trail, *trail))[0] + 1


def read_cases(document: Document, book: Rulebook) -> tuple[tuple[Case, ...], tuple[Finding, ...]]:
    """The tests of one file against that rulebook, without those that are wrong, and what is wrong with them."""
    cases: list[Case] = []
    problems = list(_outline(document.data))
    data = document.data if isinstance(document.data, dict) else {}
    entries = data.get("tests")
    names: dict[str, int] = {}
    for index, raw in enumerate(entries if isinstance(entries, list) else ()):
        if not isinstance(raw, dict):
            problems.append(Problem(f"a test has keys such as name: and start:, and this is {show(raw)}", ("tests", index)))
            continue
        case, found = _case(raw, book, document, ("tests", index))
        problems += [each.below("tests", index) for each in found]
        problems += _taken(raw.get("name"), names, index, document)
        cases += [case] if case else []
    return tuple(cases), tuple(each.locate(document) for each in problems)


def _outline(data: Any) -> Iterator[Problem]:
    if not isinstance(data, dict):
        yield Problem('a test file begins with "tests:", and its tests follow as a list')
        return
    unknown = [unknown_key(key, CaseFile, CaseFile.noun, (key,)) for key in data if key not in known_keys(CaseFile)]
    yield from unknown
    if "tests" not in data and not unknown:
        yield Problem('a test file needs "tests:", and its tests follow as a list')
    elif "tests" in data and (not isinstance(data["tests"], list) or not data["tests"]):
        yield Problem('tests are a list; each begins with "- name:"', ("tests",))


def _taken(name: object, names: dict[str, int], index: int, document: Document) -> Iterator[Problem]:
    if isinstance(name, str) and names.setdefault(name, index) != index:
        line = document.spot(("tests", names[name], "name"))[0] + 1
        yield Problem(f"the test on line {line} has this name too; say what is different", ("tests", index, "name"))


def _case(raw: Mapping[str, Any], book: Rulebook, document: Document, trail: Trail) -> tuple[Case | None, list[Problem]]:
    entry, problems = validate(CaseEntry, raw)
    reader = _Reader(entry, book, document, trail, problems)
    missing = [key for key in ("name", "start") if key not in raw]
    reader.say(*(Problem(f'a test needs "{key}", such as {_SUCH_AS[key]}') for key in missing))
    reader.say(*agreeing.names(entry, book))
    conversations = reader.parts("conversations", lambda one, place: _series(reader, one, place))
    during = reader.parts("during", lambda one, place: _event(reader, one, place))
    expect = reader.parts("expect", lambda one, place: _moment(reader, one, place))
    if sum(len(each.moments) * each.count for each in conversations) > MOST_CONVERSATIONS:
        reader.say(Problem(f"these are more than {MOST_CONVERSATIONS:,} conversations; check each and to", ("conversations",)))
    if not reader.problems and entry.expect is None and entry.notices is None and entry.calls is None:
        reader.say(Problem("this test expects nothing; add expect, notices or calls"))
    if reader.problems or entry.name is None or entry.start is None:
        return None, reader.problems
    rules = entry.rules or tuple(book.rules)
    case = Case(
        entry.name,
        rules,
        entry.start,
        conversations,
        during,
        expect,
        entry.notices,
        entry.calls,
        document.file,
        reader.line(("name",)),
    )  # fmt: skip - a line a field would be taller, not clearer
    if sum(case.end // book.rules[rule].every for rule in rules) > MOST_CHECKS:
        return None, [Problem(f"this takes more than {MOST_CHECKS:,} checks; end it earlier, or name fewer rules under rules")]
    return case, []


_SUCH_AS = {"name": "name: fires once and resolves", "start": 'start: "2026-11-02T09:00:00Z"'}


def _series(reader: _Reader, raw: Mapping[str, Any], trail: Trail) -> Series | None:
    own = known_keys(SeriesEntry)
    entry = reader.typed(SeriesEntry, {key: value for key, value in raw.items() if key in own}, trail)
    values: dict[str, Value] = {}
    for key, value in raw.items():
        if key not in own:
            try:
                name = property_name(key, own)
                values[name] = property_value(name, value, reader.entry.start)
            except Misfit as problem:
                said = str(problem) if problem.at_key else f"{key}: {problem}"
                reader.say(Problem(said, (*trail, key), problem.suggestion, problem.at_key))
    if problems := list(agreeing.series(entry, raw, values)):
        reader.say(*problems, below=trail)
        return None
    first = entry.at if entry.at is not None else entry.from_ or 0
    return Series(first, first if entry.to is None else entry.to, entry.each, entry.count or 1, values)


def _event(reader: _Reader, raw: Mapping[str, Any], trail: Trail) -> Event | None:
    entry = reader.typed(EventEntry, raw, trail)
    if problems := list(agreeing.event(entry, raw, reader.book)):
        reader.say(*problems, below=trail)
    if entry.at is None or entry.do is None or problems:
        return None
    lasts = entry.until - entry.at if entry.until is not None else entry.for_ or entry.by or 0
    return Event(entry.at, entry.do, lasts, entry.rule, entry.group, entry.labels or {})


def _moment(reader: _Reader, raw: Mapping[str, Any], trail: Trail) -> Moment | None:
    entry = reader.typed(MomentEntry, raw, trail)
    for key in ("at", "alerts"):
        if key not in raw:
            such_as = {"at": "at: 60m", "alerts": "alerts: []"}[key]
            reader.say(Problem(f'an entry of expect needs "{key}", such as {such_as}', trail))
    alerts = []
    for index, one in enumerate(entry.alerts or ()):
        place = (*trail, "alerts", index)
        if isinstance(one, dict):
            expected = _expected(reader, one, place)
            alerts += [expected] if expected else []
        else:
            reader.say(Problem(f"an alert is written like {{rule: slow-first-answer, level: warning}}, not {show(one)}", place))
    return None if entry.at is None else Moment(entry.at, tuple(alerts), reader.line((*trail, "at")))


def _expected(reader: _Reader, raw: Mapping[str, Any], trail: Trail) -> Expected | None:
    entry = reader.typed(AlertEntry, raw, trail)
    rules = reader.entry.rules or tuple(reader.book.rules)
    try:
        return Expected(entry.rule, entry.level, entry.group, agreeing.value(entry, rules, reader.book))
    except agreeing.Disagreement as found:
        reader.say(found.problem, below=trail)
        return None
