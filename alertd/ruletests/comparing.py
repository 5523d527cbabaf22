"""What was expected against what was."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from alertd.clock import Duration
from alertd.durations import format_duration
from alertd.facts import Alert, State
from alertd.rulebook.rule import Rule, Rulebook
from alertd.ruletests.case import Case, Expected, Moment, Story
from alertd.ruletests.recording import Told
from alertd.ruletests.running import Run
from alertd.units import spell_value


@dataclass(frozen=True)
class Line:
    """One line of a difference: `-` was expected and is missing, `+` was not expected, a blank is as it should be."""

    sign: str
    text: str


@dataclass(frozen=True)
class Failure:
    """One expectation that was not met. `at` is the time of the test it speaks of, None for the whole test."""

    title: str
    lines: tuple[Line, ...]
    at: Duration | None = None
    line: int = 0  # where it stands in the file


def failures(run: Run, book: Rulebook) -> tuple[Failure, ...]:
    """Everything in which the run is not what its test expects."""
    case = run.case
    found = [each for moment in case.expect if (each := _alerts(moment, run, book))]
    found += _notices(run)
    if case.calls is not None and run.calls > case.calls:
        found.append(Failure("calls", (Line("-", f"at most {case.calls}"), Line("+", f"{run.calls}"))))
    if run.unsettled:
        rules = ", ".join(sorted({rule for _, rule in run.unsettled}))
        message = f"{rules} could not be settled {len(run.unsettled)} times: a mistake of alertd; its log on stderr says more"
        found.append(Failure("checks", (Line("+", message),), run.unsettled[0][0] - case.start))
    return tuple(found)


def _alerts(moment: Moment, run: Run, book: Rulebook) -> Failure | None:
    case, standing = run.case, run.standing[moment.at]
    firing = [alert for alert in standing.alerts if alert.fires]
    met = matched(moment.alerts, firing, book)
    if len(met) == len(firing) == len(moment.alerts):
        return None
    lines = [Line("-", f"{wanted(each, case, book)}   {_instead(each, moment, run, book)}".rstrip())
             for number, each in enumerate(moment.alerts) if number not in met]  # fmt: skip
    taken = set(met.values())
    lines += [Line("+", shown(each, book)) for number, each in enumerate(firing) if number not in taken]
    lines += [Line(" ", shown(firing[number], book)) for number in sorted(taken)]
    return Failure(f"alerts at {format_duration(moment.at)}", tuple(lines), moment.at, moment.line)


def matched(expected: Sequence[Expected], firing: Sequence[Alert], book: Rulebook) -> dict[int, int]:
    """Pair as many expected alerts as possible with one that fires each: what is expected loosely takes what others leave."""
    taken_by: dict[int, int] = {}

    def place(number: int, tried: set[int]) -> bool:
        for other, alert in enumerate(firing):
            if other not in tried and fits(expected[number], alert, book):
                tried.add(other)
                if other not in taken_by or place(taken_by[other], tried):
                    taken_by[other] = number
                    return True
        return False

    for number in range(len(expected)):
        place(number, set())
    return {number: other for other, number in taken_by.items()}


def fits(expected: Expected, alert: Alert, book: Rulebook) -> bool:
    """Whether the alert is what is expected; values agree when people read the same."""
    unit = book.rules[alert.rule].unit
    pairs = ((expected.rule, alert.rule), (expected.level, alert.level), (expected.group, alert.group.key))
    same = all(wanted is None or wanted == found for wanted, found in pairs)
    if expected.value is None or not same:
        return same
    return alert.value is not None and spell_value(expected.value, unit) == spell_value(alert.value, unit)


def shown(alert: Alert, book: Rulebook) -> str:
    """An alert that fires, with its value and the limit that it passed."""
    rule = book.rules[alert.rule]
    value = "" if alert.value is None else f", {spell_value(alert.value, rule.unit)}"
    return f"{_named(alert.rule, alert.group.key)} {alert.level.value}{value}{_limit(rule, alert)}"


def wanted(expected: Expected, case: Case, book: Rulebook) -> str:
    """An alert that is expected, as far as it is told."""
    rule = expected.rule or (case.rules[0] if len(case.rules) == 1 else None)
    value = ""
    if expected.value is not None and rule is not None:
        value = f", {spell_value(expected.value, book.rules[rule].unit)}"
    level = f" {expected.level.value}" if expected.level else ""
    return f"{_named(rule or 'any rule', expected.group or '')}{level}{value}"


def _named(rule: str, group: str) -> str:
    return f"{rule} {group}" if group else rule


def _limit(rule: Rule, alert: Alert) -> str:
    for limit in rule.limits:
        if limit.level is alert.level:
            return f" ({limit.direction} {spell_value(limit.value, rule.unit)})"
    return ""


def _instead(expected: Expected, moment: Moment, run: Run, book: Rulebook) -> str:
    """What the rule had to say instead of firing as expected."""
    name = expected.rule or (run.case.rules[0] if len(run.case.rules) == 1 else None)
    if name is None:
        return ""
    standing = run.standing[moment.at]
    known = [each for each in standing.alerts if each.rule == name and expected.group in (None, each.group.key)]
    pending = next((each for each in known if each.state is State.PENDING), None)
    if pending is not None:
        held = f"over the limit for {format_duration(pending.held)} of {format_duration(book.rules[name].hold)}"
        return f"(pending: {_value(pending, book)}, {held})"
    if known:
        return f"(fires as {known[0].level.value}: {_value(known[0], book)})"
    if expected.group is not None:
        return _decided(name, expected.group, moment, run, book)
    return f"({_checked(name, moment, run, book)})"


def _checked(rule: str, moment: Moment, run: Run, book: Rulebook) -> str:
    """What the rule's last check came to, and whether it has one at all."""
    checked, calendar = run.standing[moment.at].checked.get(rule), book.rules[rule].calendar
    last = next((each for each in reversed(run.hours) if each.rule == rule and each.at <= run.case.start + moment.at), None)
    shut = f"{calendar.name} is closed" if calendar and last and last.closed else ""
    if checked is None:
        return f"never checked: {shut}" if shut else "never checked"
    said = f"{checked.evidence.value.replace('_', ' ')}: {checked.reason}"
    return f"{shut}; the last check was {said}" if shut else said


def _decided(rule: str, group: str, moment: Moment, run: Run, book: Rulebook) -> str:
    """What was decided last about a group without an alert. Of single conversations only what concerns alerts is kept."""
    upto = run.case.start + moment.at - book.rules[rule].delay
    rows = [row for row in run.decisions if (row.rule, row.group) == (rule, group) and row.first_at <= upto]
    if rows:
        return f"({rows[-1].evidence.replace('_', ' ')}: {rows[-1].change})"
    return "(not over the limit so far)" if book.rules[rule].single else "(not seen so far)"


def _value(alert: Alert, book: Rulebook) -> str:
    return "no value" if alert.value is None else spell_value(alert.value, book.rules[alert.rule].unit)


def _notices(run: Run) -> Iterable[Failure]:
    case = run.case
    if case.notices is None:
        return
    stories: dict[str, list[Told]] = {}
    for each in run.told:
        stories.setdefault(each.receiver, []).append(each)
    for receiver, story in _expected_stories(case.notices, stories).items():
        told = stories.get(receiver, [])
        if tuple(each.kind for each in told) != story:
            yield Failure(f"notices of {receiver}" if receiver else "notices", tuple(_difference(story, told, case)))


def _expected_stories(notices: Mapping[str | None, Story], stories: Mapping[str, Sequence[Told]]) -> dict[str, Story]:
    """Whom the story is expected of: those that are named, or everybody who was told anything."""
    if None not in notices:
        return {name: story for name, story in notices.items() if name is not None}
    return dict.fromkeys(stories or [""], notices[None])


def _difference(story: Story, told: Sequence[Told], case: Case) -> Iterable[Line]:
    lines = SequenceMatcher(None, story, [each.kind for each in told], autojunk=False)
    for _, first, last, start, end in lines.get_opcodes():
        same = last - first == end - start and story[first:last] == tuple(each.kind for each in told[start:end])
        if not same:
            yield from (Line("-", kind.value) for kind in story[first:last])
        yield from (Line(" " if same else "+", _message(each, case)) for each in told[start:end])


def _message(told: Told, case: Case) -> str:
    value = f", {told.value}" if told.value else ""
    return f"{told.kind.value} at {format_duration(told.at - case.start)} ({told.rule}{told.graded}{value})"
