"""What came of tests, for people: a line for each, and for those that failed the difference and a timeline."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from alertd.clock import DAY, Duration, Instant, iso
from alertd.durations import format_duration
from alertd.rulebook.rule import Rulebook
from alertd.ruletests.case import Case
from alertd.ruletests.comparing import Failure, failures
from alertd.ruletests.running import Run
from alertd.ruletests.timeline import Entry, around, timeline

PASSED, FAILED = "✓", "✗"
_NARROWEST = 40


@dataclass(frozen=True)
class Outcome:
    """One test that was played. `took` is real time in ms."""

    case: Case
    failures: tuple[Failure, ...]
    timeline: tuple[Entry, ...]  # only of one that failed
    evaluations: int
    calls: int
    took: Duration

    @property
    def passed(self) -> bool:
        """Whether everything was as expected."""
        return not self.failures


def outcome(run: Run, book: Rulebook, took: Duration) -> Outcome:
    """What came of a run."""
    found = failures(run, book)
    return Outcome(run.case, found, timeline(run, book) if found else (), run.evaluations, run.calls, took)


def headline(done: Outcome) -> str:
    """`✓ fires once and resolves (47 evaluations, 47 calls, 0.12 s)`."""
    counts = f"{_plural(done.evaluations, 'evaluation')}, {_plural(done.calls, 'call')}, {done.took / 1000:.2f} s"
    return f"{PASSED if done.passed else FAILED} {done.case.name} ({counts})"


def details(done: Outcome, width: int = 100) -> Iterator[str]:
    """Why a test failed: each difference with the place of its expectation, then what happened around it."""
    case = done.case
    for each in done.failures:
        moment = "" if each.at is None else f" ({_clock(case, each.at)})"
        yield f"{case.file}:{each.line or case.line}: {each.title}{moment}"
        for line in each.lines:
            yield from _wrapped(f"  {line.sign} ", line.text, width)
    yield from _timeline(done, width)


def summary(outcomes: Sequence[Outcome]) -> str:
    """`3 tests passed, 1 failed: 1,440 evaluations in 1.2 s`."""
    failed = sum(not each.passed for each in outcomes)
    evaluations, took = sum(each.evaluations for each in outcomes), sum(each.took for each in outcomes)
    said = f"{_plural(len(outcomes) - failed, 'test')} passed" + (f", {failed} failed" if failed else "")
    return f"{said}: {_plural(evaluations, 'evaluation')} in {took / 1000:.1f} s"


def _timeline(done: Outcome, width: int) -> Iterator[str]:
    if not done.timeline:
        return
    at = next((each.at for each in done.failures if each.at is not None), None)
    before, entries = around(done.timeline, at)
    after = len(done.timeline) - before - len(entries)
    yield f"  what happened (times since {iso(done.case.start)})"
    if before:
        yield f"    … {before} earlier"
    longest = max((len(format_duration(each.at)) for each in entries), default=0)
    for each in entries:
        yield from _wrapped(f"    {format_duration(each.at):>{longest}}  {_clock(done.case, each.at)}  ", each.text, width)
    if after:
        yield f"    … {after} later"


def _clock(case: Case, at: Duration) -> str:
    """The hour in UTC, with the date where the test lasts longer than a day."""
    moment: Instant = case.start + at
    written = iso(moment).removesuffix("Z")
    return written.replace("T", " ") if case.end > DAY or iso(case.start)[:10] != written[:10] else written[11:19]


def _wrapped(prefix: str, text: str, width: int) -> list[str]:
    """The text beside its prefix, in as many lines as it takes."""
    room = max(width - len(prefix), _NARROWEST)
    lines = textwrap.wrap(text, room, break_on_hyphens=False) or [""]
    return [f"{prefix}{lines[0]}", *(f"{' ' * len(prefix)}{each}" for each in lines[1:])]


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
