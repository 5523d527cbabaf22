"""I1: never more calls than the limit arrive in any 60 s, whatever the network, the processes and the clocks do."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from alertd.clock import HOUR, MINUTE, SECOND, Duration
from alertd.reporting.budget import TRAVEL, Budget, Slot
from alertd.sandbox.limiter import Limiter
from alertd.store.database import Database, open_database
from alertd.store.meter import ServerMeter
from alertd.store.tables import claims, offsets, refusals, slots
from alertd.testing import START, FakeClock

PATIENCE = 10 * SECOND


class Clock(FakeClock):
    """A machine's clocks, and that of the server where the store may be: it goes on while the machine starts again."""

    def __init__(self) -> None:
        super().__init__()
        self.server = START

    def advance(self, by: Duration) -> None:
        super().advance(by)
        self.server += by


def a_budget(database: Database, clock: FakeClock | None = None, *, calls_per_minute: int = 60, reserve: int = 6) -> Budget:
    """A budget on a store of either kind, whose server has the time of `clock.server`."""
    clock = clock or Clock()
    meter = ServerMeter(clock, lambda _: clock.server) if database.on_server and isinstance(clock, Clock) else None
    return Budget(database, clock, calls_per_minute=calls_per_minute, reserve=reserve, meter=meter)


@pytest.fixture(scope="module")
def shared(kind: str, request: pytest.FixtureRequest) -> Iterator[Database]:
    opened = open_database("sqlite://" if kind == "sqlite" else request.getfixturevalue("server").new_store())
    yield opened
    opened.close()


@pytest.fixture
def database(shared: Database) -> Database:
    return clean(shared)


@pytest.fixture
def embedded() -> Iterator[Database]:
    opened = open_database("sqlite://")
    yield opened
    opened.close()


@pytest.fixture
def minute(database: Database) -> Duration:
    """For how long a slot rests: on a server a little longer, because its clock may be set by a little."""
    return MINUTE + (2_100 if database.on_server else 0)


def clean(database: Database) -> Database:
    with database.write() as transaction:
        for table in (slots, refusals, claims, offsets):
            transaction.execute(sa.delete(table))
    return database


def lend_all(budget: Budget, patience: Duration = PATIENCE) -> list[Slot]:
    """Borrow until there is none left."""
    lent = []
    while isinstance(slot := budget.borrow(patience), Slot):
        lent.append(slot)
    return lent


def test_the_reserve_is_left_to_others(database: Database) -> None:
    budget = a_budget(database, Clock(), calls_per_minute=60, reserve=6)
    assert len(lend_all(budget)) == 54
    assert (budget.state().in_use, budget.state().free) == (54, 0)


def test_a_slot_is_free_a_minute_after_its_answer(database: Database, minute: Duration) -> None:
    clock = Clock()
    budget = a_budget(database, clock, calls_per_minute=1, reserve=0)
    (slot,) = lend_all(budget)
    clock.advance(3 * SECOND)
    budget.give_back(slot, answered=True)
    clock.advance(minute - 1)
    assert budget.borrow(PATIENCE) == 1  # millisecond
    clock.advance(1)
    assert isinstance(budget.borrow(PATIENCE), Slot)


def test_a_call_without_an_answer_keeps_its_slot_for_as_long_as_it_may_travel(database: Database, minute: Duration) -> None:
    clock = Clock()
    budget = a_budget(database, clock, calls_per_minute=1, reserve=0)
    (slot,) = lend_all(budget)
    budget.give_back(slot, answered=False)
    clock.advance(minute + TRAVEL - 1)
    assert lend_all(budget) == []
    clock.advance(1)
    assert len(lend_all(budget)) == 1


def test_a_killed_process_gives_its_slots_back_by_itself(database: Database, minute: Duration) -> None:
    clock = Clock()
    lend_all(a_budget(database, clock, calls_per_minute=3, reserve=0))
    survivor = a_budget(database, clock, calls_per_minute=3, reserve=0)
    clock.advance(2 * PATIENCE + TRAVEL + minute - 1)
    assert lend_all(survivor) == []
    clock.advance(1)
    assert len(lend_all(survivor)) == 3


def test_a_call_must_be_sent_before_its_patience_is_over(database: Database) -> None:
    clock = Clock()
    slot = a_budget(database, clock).borrow(PATIENCE)
    assert isinstance(slot, Slot)
    assert slot.send_before == clock.uptime() + PATIENCE


def test_whoever_lost_its_slot_gives_nothing_back(database: Database) -> None:
    clock = Clock()
    budget = a_budget(database, clock, calls_per_minute=1, reserve=0)
    (stopped,) = lend_all(budget)
    clock.advance(HOUR)
    (_other,) = lend_all(budget)
    before = rows(database)
    budget.give_back(stopped, answered=True)
    assert rows(database) == before


def rows(database: Database) -> list[tuple[object, ...]]:
    with database.read() as transaction:
        return [tuple(row) for row in transaction.execute(sa.select(slots).order_by(slots.c.id))]


def test_slots_are_used_again_and_do_not_pile_up(database: Database) -> None:
    clock = Clock()
    budget = a_budget(database, clock, calls_per_minute=5, reserve=0)
    for _ in range(10):
        lend_all(budget)
        clock.advance(HOUR)
    assert len(rows(database)) == 5


def test_a_wall_clock_that_is_set_frees_nothing_and_blocks_nothing(database: Database, minute: Duration) -> None:
    clock = Clock()
    budget = a_budget(database, clock, calls_per_minute=1, reserve=0)
    (slot,) = lend_all(budget)
    budget.give_back(slot, answered=True)
    clock.set_wall(START + 1000 * HOUR)
    assert lend_all(budget) == []
    clock.set_wall(START - 1000 * HOUR)
    clock.advance(minute)
    assert len(lend_all(budget)) == 1


@pytest.mark.parametrize("uptime", [0, 5 * SECOND, 1000 * HOUR])
def test_after_a_new_boot_all_slots_start_used(embedded: Database, uptime: Duration) -> None:
    clock = Clock()
    budget = a_budget(embedded, clock, calls_per_minute=3, reserve=0)
    lend_all(budget)
    clock.advance(HOUR)  # all free again
    clock.reboot("second-boot", uptime)
    assert budget.state().free == 0
    assert lend_all(budget) == []
    clock.advance(MINUTE + TRAVEL - 1)
    assert lend_all(budget) == []
    clock.advance(1)
    assert len(lend_all(budget)) == 3


def test_a_new_store_starts_with_all_slots_free(database: Database) -> None:
    assert len(lend_all(a_budget(database, Clock(), calls_per_minute=7, reserve=2))) == 5


def test_whoever_has_to_wait_is_told_how_long_and_looks_again_within_a_second(database: Database, minute: Duration) -> None:
    clock = Clock()
    budget = a_budget(database, clock, calls_per_minute=1, reserve=0)
    (slot,) = lend_all(budget)
    assert budget.borrow(PATIENCE) == SECOND
    budget.give_back(slot, answered=True)
    clock.advance(minute - 250)
    assert budget.borrow(PATIENCE) == 250
    budget.refused(HOUR)
    clock.advance(minute)
    assert budget.borrow(PATIENCE) == SECOND


def test_a_429_blocks_all_processes_for_as_long_as_it_says(database: Database) -> None:
    clock = Clock()
    one, other = (a_budget(database, clock, calls_per_minute=60, reserve=6) for _ in range(2))
    one.refused(20 * SECOND)
    assert (other.state().blocked_for, other.state().free) == (20 * SECOND, 0)
    clock.advance(20 * SECOND - 1)
    assert lend_all(other) == []
    clock.advance(1)
    assert len(lend_all(other)) == 27


def test_a_429_that_does_not_say_blocks_for_a_minute(database: Database) -> None:
    budget = a_budget(database, Clock())
    budget.refused(None)
    assert budget.state().blocked_for == MINUTE


def test_a_second_429_never_shortens_the_block(database: Database) -> None:
    budget = a_budget(database, Clock())
    budget.refused(10 * MINUTE)
    budget.refused(SECOND)
    assert budget.state().blocked_for == 10 * MINUTE


def test_what_a_429_took_out_of_use_comes_back_one_by_one(database: Database) -> None:
    clock = Clock()
    budget = a_budget(database, clock, calls_per_minute=60, reserve=6)
    budget.refused(30 * SECOND)
    clock.advance(30 * SECOND)
    free = []
    for _ in range(29):
        free.append(budget.state().free)
        clock.advance(MINUTE)
    assert free == [*range(27, 54), 54, 54]


def test_calls_that_were_under_way_together_are_one_lesson(database: Database) -> None:
    clock = Clock()
    budget = a_budget(database, clock, calls_per_minute=60, reserve=6)
    for _ in range(10):
        budget.refused(30 * SECOND)
        clock.advance(10)
    assert budget.state().withheld == 27
    clock.advance(30 * SECOND)
    budget.refused(30 * SECOND)
    assert budget.state().withheld == 27 + 13


def test_however_often_it_is_refused_one_call_a_minute_goes_on_trying(database: Database) -> None:
    clock = Clock()
    budget = a_budget(database, clock, calls_per_minute=60, reserve=6)
    for _ in range(30):
        budget.refused(SECOND)
        clock.advance(SECOND)
    assert len(lend_all(budget)) == 1


def test_a_429_that_has_been_over_for_long_means_nothing_to_the_next_boot(database: Database) -> None:
    clock = Clock()
    budget = a_budget(database, clock, calls_per_minute=60, reserve=0)
    budget.refused(10 * SECOND)
    clock.advance(40 * MINUTE)
    assert isinstance(budget.borrow(PATIENCE), Slot)
    clock.reboot("second-boot")
    clock.advance(10 * MINUTE)
    budget = a_budget(database, clock, calls_per_minute=60, reserve=0)
    budget.claim(0, MINUTE)
    assert (budget.state().withheld, budget.state().blocked_for) == (0, 0)


def test_a_smaller_limit_after_a_429_still_lends_one(database: Database) -> None:
    clock = Clock()
    a_budget(database, clock, calls_per_minute=60, reserve=0).refused(0)
    smaller = a_budget(database, clock, calls_per_minute=10, reserve=0)
    assert smaller.state().withheld == 9
    assert len(lend_all(smaller)) == 1


def test_a_budget_of_nothing_lends_nothing_and_is_not_asked_in_a_hurry(database: Database) -> None:
    assert a_budget(database, Clock(), calls_per_minute=6, reserve=6).borrow(PATIENCE) == SECOND


def test_a_block_starts_anew_with_a_new_boot(embedded: Database) -> None:
    clock = Clock()
    budget = a_budget(embedded, clock, calls_per_minute=60, reserve=6)
    budget.refused(10 * SECOND)
    clock.reboot("second-boot")
    assert lend_all(budget) == []
    clock.advance(MINUTE)
    assert len(lend_all(budget)) == 27


def test_looking_changes_nothing(database: Database) -> None:
    clock = Clock()
    budget = a_budget(database, clock)
    lend_all(budget)
    before = rows(database)
    clock.reboot("second-boot")
    budget.state()
    assert rows(database) == before


@pytest.mark.parametrize(("latency", "least"), [(0, 1.0), (500, 0.98), (2 * SECOND, 0.95)])
def test_nearly_all_of_the_budget_can_be_used_by_three_processes(database: Database, latency: Duration, least: float) -> None:
    """At least 95 % of the 54 calls that 60 seconds and a call's own time allow; `least` is of 54 in 60 seconds."""
    clock = Clock()
    processes = [a_budget(database, clock, calls_per_minute=60, reserve=6) for _ in range(3)]
    under_way: list[tuple[Duration, Budget, Slot]] = []
    calls, start = Counter[int](), clock.uptime()
    while clock.uptime() < start + 10 * MINUTE:
        for each in [each for each in under_way if each[0] <= clock.uptime()]:
            each[1].give_back(each[2], answered=True)
            under_way.remove(each)
        number = sum(calls.values()) % len(processes)
        found = processes[number].borrow(PATIENCE)
        if isinstance(found, Slot):
            calls[number] += 1
            under_way.append((clock.uptime() + latency, processes[number], found))
        else:
            clock.advance(min([found, *(until - clock.uptime() for until, *_ in under_way)]))
    assert least * 540 <= sum(calls.values()) <= 540
    assert min(calls.values()) >= 170


LIMIT = 4


@dataclass
class Network:
    """Processes with one budget each, what they have sent, and when it arrives, by a time that nobody sets or restarts.

    Where the store is on a server that server's clock is set as well, but never while nobody can see it: each boot of the
    machine begins and ends with a look at it.
    """

    database: Database
    random: random.Random
    clock: Clock = field(default_factory=Clock)
    time: Duration = 0
    boots: int = 0
    arrivals: list[Duration] = field(default_factory=list)
    answers: list[tuple[Duration, int, Slot, bool]] = field(default_factory=list)  # when, of which process, slot, answered

    def __post_init__(self) -> None:
        self.processes = [self._process() for _ in range(3)]
        self._look()

    def _look(self) -> None:
        self.processes[0].give_back(Slot("nobody's", 0))

    def _process(self) -> Budget:
        return a_budget(self.database, self.clock, calls_per_minute=LIMIT, reserve=0)

    def call(self) -> None:
        """Some process sends as soon as it can, or as late as it may; what it sends arrives anywhere before the answer."""
        number = self.random.randrange(len(self.processes))
        slot = self.processes[number].borrow(PATIENCE)
        if not isinstance(slot, Slot):
            return
        sent = self.time + self.random.choice([0, 0, 0, PATIENCE - 1])
        answered = self.random.random() < 0.7
        lasts = self.random.choice([0, 1, 5 * SECOND, PATIENCE]) if answered else PATIENCE
        travels = self.random.choice([0, lasts]) if answered else lasts + self.random.choice([-lasts, 0, TRAVEL])
        self.arrivals.append(sent + travels)
        self.answers.append((sent + lasts, number, slot, answered))

    def advance(self, by: Duration) -> None:
        """Let time pass from answer to answer."""
        end = self.time + by
        for when, number, slot, answered in sorted(self.answers, key=lambda each: each[0]):
            if when > end:
                continue
            self._pass(when - self.time)
            self.answers.remove((when, number, slot, answered))
            self.processes[number].give_back(slot, answered=answered)
        self._pass(end - self.time)

    def _pass(self, by: Duration) -> None:
        self.time += max(0, by)
        self.clock.advance(max(0, by))

    def kill(self) -> None:
        """A process ends; what it has sent may still arrive, at the latest `TRAVEL` later; nobody gives its slots back."""
        number = self.random.randrange(len(self.processes))
        self.processes[number] = self._process()
        self.answers = [each for each in self.answers if each[1] != number]

    def reboot(self) -> None:
        """The machine starts again: all processes end at once, and what is not sent by then never will be."""
        self._look()
        self.boots += 1
        self.clock.reboot(f"boot-{self.boots}", self.random.choice([0, HOUR, 10**9]))
        self.arrivals = [min(each, self.time + TRAVEL) for each in self.arrivals]
        self.answers.clear()
        self._look()


@given(
    seed=st.integers(0, 2**32),
    steps=st.lists(
        st.sampled_from(["call"] * 12 + ["1 ms", "1 s", "9 s", "31 s", "60 s", "kill", "boot", "set", "set server", "429"]),
        min_size=50,
        max_size=90,
    ),
)
@settings(max_examples=60, deadline=None)
def test_never_more_than_the_limit_arrive_in_any_minute(shared: Database, seed: int, steps: list[str]) -> None:
    network = Network(clean(shared), random.Random(seed))
    spans = {"1 ms": 1, "1 s": SECOND, "9 s": 9 * SECOND, "31 s": 31 * SECOND, "60 s": MINUTE}
    for step in steps:
        if step in spans:
            network.advance(spans[step])
        elif step == "set":
            network.clock.set_wall(network.random.randrange(2 * START))
        elif step == "set server":
            network.clock.server += network.random.choice([-HOUR, -1900, -700, 700, 1900, 2500, HOUR])
        elif step == "429":
            network.processes[0].refused(network.random.choice([None, 0, 5 * SECOND]))
        else:
            {"call": network.call, "kill": network.kill, "boot": network.reboot}[step]()
    server = Limiter(LIMIT)
    refused = [each for each in sorted(network.arrivals) if server.arrive(each) is not None]
    assert refused == []


BORROW = """
import sys
from concurrent.futures import ThreadPoolExecutor
from alertd.clock import HOUR, SystemClock
from alertd.reporting.budget import Budget, Slot
from alertd.store.database import open_database
database = open_database(sys.argv[1])
budget = Budget(database, SystemClock(), calls_per_minute=40, reserve=10)
sys.stdin.readline()
with ThreadPoolExecutor(5) as pool:
    print(sum(isinstance(slot, Slot) for slot in pool.map(lambda _: budget.borrow(HOUR), range(40))))
"""


def test_threads_of_several_processes_never_share_a_slot(url: str) -> None:
    database = open_database(url)
    both = [
        subprocess.Popen([sys.executable, "-c", BORROW, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for process in both:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    lent = [int(process.communicate()[0]) for process in both]
    with database.read() as transaction:
        assert transaction.scalar(sa.select(sa.func.count()).select_from(slots)) == sum(lent) == 30
        assert transaction.scalar(sa.select(sa.func.count(slots.c.loan.distinct()))) == 30
    database.close()


CHURN = """
import os, random, sys, time
from concurrent.futures import ThreadPoolExecutor
from alertd.clock import HOUR, SystemClock
from alertd.reporting.budget import Budget, Slot
from alertd.store.database import open_database
database = open_database(sys.argv[1])
budget = Budget(database, SystemClock(), calls_per_minute=6, reserve=1)
def say(what):
    os.write(1, f"{what} {time.monotonic_ns()}\\n".encode())  # at once, or lines of several threads get mixed up
def work(_):
    while not isinstance(slot := budget.borrow(HOUR), Slot):
        time.sleep(0.002)
    say("from")
    time.sleep(random.random() / 100)
    say("to")
    budget.give_back(slot, used=False)
with ThreadPoolExecutor(3) as pool:
    list(pool.map(work, range(int(sys.argv[2]))))
"""


def test_however_many_processes_borrow_and_return_and_are_killed_no_more_than_the_limit_are_ever_in_use(url: str) -> None:
    """By the clock that all processes of a machine have in common; what a killed one had borrowed stays in use."""

    def start(calls: int) -> subprocess.Popen[str]:
        return subprocess.Popen([sys.executable, "-c", CHURN, url, str(calls)], stdout=subprocess.PIPE, text=True)

    processes = [start(100_000), start(60), start(60)]
    doomed = processes[0].stdout
    assert doomed
    lines = [doomed.readline() for _ in range(20)]
    processes[0].kill()
    lines += [line for process in processes for line in process.communicate()[0].splitlines(keepends=True)]
    assert [process.returncode for process in processes] == [-signal.SIGKILL, 0, 0]
    changes = [line.split() for line in lines if line.endswith("\n")]  # the last one of a killed process may be cut off
    assert sum(kind == "from" for kind, _ in changes) >= 120 + 10
    in_use, most = 0, 0
    for kind, _ in sorted(changes, key=lambda each: int(each[1])):
        in_use += 1 if kind == "from" else -1
        most = max(most, in_use)
    assert 2 <= most <= 5


def test_threads_that_share_a_store_never_share_a_slot(database: Database) -> None:
    budget = a_budget(database, Clock(), calls_per_minute=20, reserve=0)
    with ThreadPoolExecutor(8) as pool:
        lent = [slot for slot in pool.map(lambda _: budget.borrow(PATIENCE), range(60)) if isinstance(slot, Slot)]
    assert len({slot.loan for slot in lent}) == 20
