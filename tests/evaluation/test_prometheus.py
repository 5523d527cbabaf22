"""Prometheus's state machine beside alertd's: the same stories told to both, and every difference with its reason.

A story is a text of one letter for each check:

    B over the limit   G within it   A an answer without the group   e no answer   m a check that was missed
    P two groups, both over the limit   Q two groups, the other one over it   N two groups, none   D the same row twice
    d the process is down, and new at the next check   . the rule is not there

and, between two checks, | for a restart, * for a reload with changes, - and + for the rule taken out and put back.

What is seen of it has two letters for each check: the state, i(nactive), p(ending), f(iring), r(ecovering, which Prometheus
calls firing too), or "." where nothing runs; and whether its receivers were told that it goes on (F) or not (".").
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from shutil import copy
from typing import Any

import pytest

from alertd.clock import MINUTE
from alertd.facts import CONVERSATION
from alertd.store.database import Database, open_database
from tests.evaluation.both import AGENT, EVERY, Case, told

# Why alertd differs.
NO_EXPIRY = "nothing ends by the passing of time"
KNOWN_TIME = "time in which nothing was known, or nothing ran, does not count"
PERSISTS = "everything persists: what fires goes on firing, timers go on, and what ended meanwhile is told at once"
COMPLETE = "a group is over only after an hour of complete answers without it, and no data changes nothing"
ANEW = "another question starts `for` again"
TOLD = "what people were told of ends when it is over; another `for` does not take it back"
REMOVED = "a rule that is removed ends its incident and says so at once"
ONE_ROW = "a conversation that came twice is one conversation"
CATCH_UP = "what passed while alertd was down was missed too"

NOTHING: Mapping[str, Any] = {}


def same(name: str, story: str, seen: str, *, reload: Mapping[str, Any] = NOTHING, **rule: Any) -> Case:
    """A case in which both do the same."""
    return Case(name, story, seen.replace("r", "f"), seen, None, rule, reload)


def unlike(
    name: str, story: str, theirs: str, ours: str, why: str, *, reload: Mapping[str, Any] = NOTHING, **rule: Any
) -> Case:
    """A case in which they differ."""
    return Case(name, story, theirs, ours, why, rule, reload)


CASES = [
    # Pending, firing, absent.
    same("without `for` it fires at once", "GBBG", "iffi .FF."),
    same("with `for` it is pending until it has held that long", "BBBB", "ppff ..FF", hold=10 * MINUTE),
    same("`for` between two checks is over at the later one", "BBB", "ppf ..F", hold=7 * MINUTE),
    same("what is pending ends at once and is never told", "BBGBBG", "ppippi ......", hold=10 * MINUTE),
    same("fired again soon after its end it serves `for` again", "BBGBB", "pfipf .F..F", hold=EVERY),
    same("the state of a rule is the highest of its groups", "BPQQNG", "pfffii .FFF..", hold=EVERY, by=AGENT),
    same("a conversation that is no longer in the answer is over", "BBA", "ffi FF.", by=CONVERSATION),
    unlike(
        "a group that is no longer in the answer",
        "BAAAAAAAAAAAAA",
        "fiiiiiiiiiiiii F.............",
        "ffffffffffffii FFFFFFFFFFFF..",
        COMPLETE,
        by=AGENT,
    ),
    unlike(
        "a pending group that is no longer in the answer", "BAB", "pip ...", "ppp ...", COMPLETE, by=AGENT, hold=10 * MINUTE
    ),
    unlike("nothing to measure", "BAAG", "fiii F...", "fffi FFF.", COMPLETE),
    unlike("the same twice", "DDG", "iii ...", "ffi FF.", ONE_ROW),
    # keep_firing_for.
    same("it goes on firing for that long after it was over the limit", "BGGGG", "frrii FFF..", keep_firing=10 * MINUTE),
    same("over the limit again starts that anew", "BGGBGGGG", "frrfrrii FFFFFF..", keep_firing=10 * MINUTE),
    same("what is pending is not kept", "BGBG", "pipi ....", keep_firing=10 * MINUTE, hold=EVERY),
    # Errors and missed checks.
    same("an error moves nothing", "BeBeG", "ffffi FFFF."),
    unlike("an outage of four intervals", "BeeeeeB", "fffffff FFFF..F", "fffffff FFFFFFF", NO_EXPIRY),
    unlike("an error while it is pending", "BeBB", "ppff ..FF", "pppf ...F", KNOWN_TIME, hold=10 * MINUTE),
    unlike("an error while it is kept firing", "BGeGG", "fffii FFF..", "frrri FFFF.", KNOWN_TIME, keep_firing=10 * MINUTE),
    unlike("a missed check while it is pending", "BmBB", "ppff ..FF", "pppf ...F", KNOWN_TIME, hold=10 * MINUTE),
    unlike(
        "a missed check while it is kept firing", "BGmGG", "fffii FFF..", "frrri FFFF.", KNOWN_TIME, keep_firing=10 * MINUTE
    ),
    unlike("four missed checks", "BmmmmB", "ffffff FFFF.F", "ffffff FFFFFF", NO_EXPIRY),
    # Restarts.
    same("a restart with nothing to remember", "G|BG|G", "ifii .F.."),
    same("a restart of what fires without `for`", "B|BdB", "ff.f FFFF"),
    unlike("it was over when the process came back", "BdGGGG", "f.iiii FFFF..", "f.iiii FF....", PERSISTS),
    unlike("a long outage of what fires without `for`", "BdddddB", "f.....f FFFF..F", "f.....f FFFFFFF", NO_EXPIRY),
    unlike("`for` below ten minutes, pending", "B|BB", "ppf ..F", "pff .FF", PERSISTS, hold=EVERY),
    unlike("`for` below ten minutes, firing", "BB|BB", "pfpf .FFF", "pfff .FFF", PERSISTS, hold=EVERY),
    unlike("`for` was served before a restart", "BBB|BBBB", "ppfppff ..FFFFF", "ppfffff ..FFFFF", PERSISTS, hold=10 * MINUTE),
    unlike(
        "`for` was served before a short outage",
        "BBBddddddBBB",
        "ppf......ppf ..FFFF.....F",
        "ppf......fff ..FFFFFFFFFF",
        PERSISTS,
        hold=10 * MINUTE,
    ),
    unlike(
        "`for` was served before a long outage",
        "BBBBB" + "d" * 12 + "BBBBB",
        "ppppf............ppppf ....FFFF.............F",
        "ppppf............fffff ....FFFFFFFFFFFFFFFFFF",
        PERSISTS,
        hold=20 * MINUTE,
    ),
    unlike(
        "a long outage while it is pending",
        "BBB" + "d" * 12 + "BBBBB",
        "ppp............ppppf ...................F",
        "ppp............pffff ................FFFF",
        PERSISTS,
        hold=20 * MINUTE,
    ),
    unlike(
        "less than ten minutes of `for` remain",
        "BBBB|BBBBB",
        "pppppppff .......FF",
        "ppppfffff ....FFFFF",
        PERSISTS,
        hold=20 * MINUTE,
    ),
    unlike(
        "more than ten minutes of `for` remain",
        "BBBddBBBBBBBB",
        "ppp..pppppfff ..........FFF",
        "ppp..pppfffff ........FFFFF",
        PERSISTS,
        hold=30 * MINUTE,
    ),
    unlike(
        "a restart while it is kept firing", "BG|GGGGG", "ffiiiii FFFFF..", "frrrrii FFFFF..", PERSISTS, keep_firing=20 * MINUTE
    ),
    unlike(
        "an outage while it is kept firing",
        "BGdddGGG",
        "ff...iii FFFFF...",
        "fr...rii FFFFFF..",
        KNOWN_TIME,
        keep_firing=10 * MINUTE,
    ),
    # Reloads.
    same("other texts", "BB*BG", "ppfi ..F.", reload={"title": "Other words"}, hold=10 * MINUTE),
    same("a higher limit while it fires", "B*BB", "fii F..", reload={"warning": (30, 30)}),
    same("a lower limit", "B*BB", "iff .FF", reload={"warning": (5, 5)}, warning=(30, 30)),
    same("a lowered `for` while it is pending", "BB*BB", "ppff ..FF", reload={"hold": 10 * MINUTE}, hold=30 * MINUTE),
    same("a raised `for` while it is pending", "B*BBB", "ppff ..FF", reload={"hold": 10 * MINUTE}, hold=EVERY),
    unlike(
        "a raised `for` while it fires",
        "BB*BBBBBBG",
        "pfppppffi .FFFF.FF.",
        "pfffffffi .FFFFFFF.",
        TOLD,
        reload={"hold": 30 * MINUTE},
        hold=EVERY,
    ),
    unlike(
        "another question while it is pending",
        "BB*BBBG",
        "ppfffi ..FFF.",
        "ppppfi ....F.",
        ANEW,
        reload={"window": 4 * MINUTE},
        hold=10 * MINUTE,
    ),
    same("another question while it fires", "BB*BG", "pffi .FF.", reload={"window": 4 * MINUTE}, hold=EVERY),
    unlike("the rule is removed and comes back", "B-.....+BG", "f.....fi FFFF..F.", "f.....fi F.....F.", REMOVED),
]


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that has its tables and nothing else."""
    place = tmp_path_factory.mktemp("empty") / "store.db"
    open_database(f"sqlite:///{place}").close()
    return place


@pytest.fixture(scope="module")
def budget() -> Iterator[Database]:
    opened = open_database("sqlite://")
    yield opened
    opened.close()


@pytest.fixture
def store(empty: Path, tmp_path: Path) -> Path:
    return Path(copy(empty, tmp_path))


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_both_do_as_the_table_says_and_differ_where_it_gives_a_reason(store: Path, budget: Database, case: Case) -> None:
    with told(store, budget, case) as both:
        theirs, ours = (_lines(each[which] for each in both.seen) for which in (0, 1))
    assert (theirs, ours) == (case.prometheus, case.alertd)
    assert (theirs != ours.replace("r", "f")) == (case.why is not None)


def _lines(seen: Iterable[str]) -> str:
    return " ".join("".join(letters) for letters in zip(*seen, strict=True))


@pytest.mark.parametrize(
    ("story", "counted", "why"),
    [
        ("BBB", (0, 0), None),
        ("BmmBmB", (3, 3), None),
        ("BeeB", (0, 0), None),
        ("B|B", (0, 0), None),
        ("BddB", (0, 2), CATCH_UP),
    ],
)
def test_missed_checks_are_jumped_over_and_counted(
    store: Path, budget: Database, story: str, counted: tuple[int, int], why: str | None
) -> None:
    with told(store, budget, same("missed", story, "")) as both:
        assert (both.theirs.missed, both.ours.missed) == counted
    assert (counted[0] != counted[1]) == (why is not None)
