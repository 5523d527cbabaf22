"""The queue: who gets the next free slot, and who is told that it is too late."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from alertd.clock import HOUR, MINUTE, SECOND, Duration
from alertd.planning.calls import Calls
from alertd.planning.demand import Urgency
from alertd.reporting.budget import Budget, Slot
from alertd.store.database import Database, open_database
from alertd.store.tables import slots
from alertd.testing import FakeClock

CRITICAL, NORMAL, BACKGROUND = Urgency
PATIENCE = 10 * SECOND
LATER = 1000 * HOUR


@pytest.fixture(scope="module")
def database() -> Iterator[Database]:
    opened = open_database("sqlite://")
    yield opened
    opened.close()


@dataclass
class Desk:
    """A queue, and what became of the calls that were put into it. Answers come at once."""

    calls: Calls
    budget: Budget
    clock: FakeClock
    sent: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, database: Database, *, limit: int = 1000) -> Desk:
        with database.write() as transaction:
            transaction.execute(sa.delete(slots))
        clock = FakeClock()
        budget = Budget(database, clock, calls_per_minute=limit, reserve=0)
        budget.claim(0, 0)
        return cls(Calls(budget, clock, PATIENCE), budget, clock)

    def put(self, name: str, urgency: Urgency = NORMAL, deadline: Duration = LATER) -> None:
        def send(slot: Slot) -> None:
            self.budget.give_back(slot)
            self.sent.append(name)

        self.calls.put(urgency, deadline, send, lambda: self.late.append(name))

    def run(self, steps: int = 50) -> None:
        """As many steps at one moment."""
        for _ in range(steps):
            self.calls.step()


def test_the_more_urgent_class_goes_first_then_the_earlier_deadline_then_whoever_came_first(database: Database) -> None:
    desk = Desk.of(database)
    desk.put("background", BACKGROUND, LATER - 9)
    desk.put("normal", NORMAL, LATER - 1)
    desk.put("normal too", NORMAL, LATER - 1)
    desk.put("normal, sooner", NORMAL, LATER - 2)
    desk.put("critical", CRITICAL, LATER)
    desk.run()
    assert desk.sent == ["critical", "normal, sooner", "normal", "normal too", "background"]


def test_a_step_sends_one_call_and_tells_how_long_to_wait_for_the_next(database: Database) -> None:
    desk = Desk.of(database, limit=1)
    desk.put("one")
    desk.put("two")
    assert desk.calls.step() == 0
    assert (desk.sent, len(desk.calls)) == (["one"], 1)
    assert desk.calls.step() == SECOND  # it looks again, whatever happens until then
    desk.clock.advance(MINUTE - 10)
    assert desk.calls.step() == 10
    desk.clock.advance(10)
    desk.calls.step()
    assert desk.sent == ["one", "two"]


def test_what_gets_no_slot_until_its_deadline_is_told_so_and_never_sent(database: Database) -> None:
    desk = Desk.of(database, limit=1)
    now = desk.clock.uptime()
    desk.put("first", CRITICAL)
    desk.put("patient", deadline=now + MINUTE)
    desk.put("hasty", deadline=now + MINUTE - 1)
    desk.run()
    assert (desk.sent, desk.late) == (["first"], [])
    desk.clock.advance(MINUTE)
    desk.run()
    assert (desk.sent, desk.late) == (["first", "patient"], ["hasty"])


def test_background_work_leaves_what_is_claimed_and_holds_nobody_up(database: Database) -> None:
    desk = Desk.of(database, limit=5)
    desk.budget.claim(3, HOUR)
    for number in range(5):
        desk.put(f"background {number}", BACKGROUND)
    desk.run()
    assert desk.sent == ["background 0", "background 1"]
    for number in range(3):
        desk.put(f"critical {number}", CRITICAL)
    desk.run()
    assert desk.sent[2:] == ["critical 0", "critical 1", "critical 2"]
    desk.clock.advance(MINUTE)
    desk.run()
    assert len(desk.sent) == 7


def test_whoever_is_more_urgent_when_the_slot_is_there_gets_it(database: Database) -> None:
    desk = Desk.of(database, limit=1)

    class Slow(Budget):
        def borrow(self, patience: Duration, *, background: bool = False) -> Slot | Duration:
            if not desk.sent and len(desk.calls) == 1:
                desk.put("critical", CRITICAL)
            return super().borrow(patience, background=background)

    desk.calls = Calls(Slow(database, desk.clock, calls_per_minute=1, reserve=0), desk.clock, PATIENCE)
    desk.put("normal")
    desk.run()
    assert desk.sent == ["critical"]


def test_a_slot_that_nobody_wants_any_more_is_given_back_unused(database: Database) -> None:
    desk = Desk.of(database, limit=1)

    class Slow(Budget):
        def borrow(self, patience: Duration, *, background: bool = False) -> Slot | Duration:
            found = super().borrow(patience, background=background)
            desk.calls.close()
            return found

    desk.calls = Calls(Slow(database, desk.clock, calls_per_minute=1, reserve=0), desk.clock, PATIENCE)
    desk.put("normal")
    desk.calls.step()
    assert (desk.sent, desk.late, desk.budget.state().free) == ([], ["normal"], 1)


def test_after_the_end_everybody_is_told_that_it_is_too_late(database: Database) -> None:
    desk = Desk.of(database)
    desk.put("waits")
    desk.calls.close()
    desk.put("comes later")
    desk.run()
    assert (desk.sent, desk.late, len(desk.calls)) == ([], ["waits", "comes later"], 0)


def test_workers_send_everything_once(database: Database) -> None:
    desk, everybody = Desk.of(database), threading.Barrier(4)
    workers = [threading.Thread(target=desk.calls.work) for _ in range(8)]
    for worker in workers:
        worker.start()

    def come(place: int) -> None:
        everybody.wait(timeout=60)
        for number in range(50):
            desk.put(f"{place}-{number}", Urgency(number % 3))

    crowd = [threading.Thread(target=come, args=(place,)) for place in range(4)]
    for each in crowd:
        each.start()
    for each in crowd:
        each.join()
    while len(desk.sent) < 200 and any(each.is_alive() for each in workers):
        threading.Event().wait(0.01)
    desk.calls.close()
    for worker in workers:
        worker.join(timeout=60)
    assert not any(worker.is_alive() for worker in workers)
    assert (len(desk.sent), len(set(desk.sent)), desk.late) == (200, 200, [])


def test_a_worker_outlives_a_call_that_explodes(database: Database) -> None:
    desk = Desk.of(database)

    def explode(_slot: Slot) -> None:
        raise ZeroDivisionError

    desk.calls.put(CRITICAL, LATER, explode, lambda: None)
    desk.put("next")
    worker = threading.Thread(target=desk.calls.work)
    worker.start()
    while not desk.sent and worker.is_alive():
        threading.Event().wait(0.01)
    desk.calls.close()
    worker.join(timeout=60)
    assert desk.sent == ["next"]


@dataclass(frozen=True)
class Arrival:
    at: Duration
    urgency: Urgency
    patience: Duration


arrivals = st.lists(
    st.builds(
        Arrival,
        st.integers(0, 5 * MINUTE),
        st.sampled_from(list(Urgency)),
        st.sampled_from([0, SECOND, 30 * SECOND, 2 * MINUTE, 10 * MINUTE]),
    ),
    max_size=25,
)


@given(arrivals, st.integers(1, 3))
@settings(max_examples=40, deadline=None)
def test_under_lasting_pressure_nobody_overtakes_a_more_urgent_call_or_an_earlier_deadline(
    database: Database, coming: list[Arrival], limit: int
) -> None:
    desk = Desk.of(database, limit=limit)
    start = desk.clock.uptime()
    waiting: dict[str, tuple[Urgency, Duration]] = {}
    left = sorted(coming, key=lambda each: each.at)
    seen = 0
    while left or waiting:
        now = desk.clock.uptime() - start
        while left and left[0].at <= now:
            each, name = left.pop(0), f"{len(left)}"
            waiting[name] = (each.urgency, start + each.at + each.patience)
            desk.put(name, *waiting[name])
        pause = desk.calls.step()
        for name in desk.sent[seen:]:
            place = waiting.pop(name)
            assert desk.clock.uptime() <= place[1]
            assert all(place <= other for other in waiting.values() if other[1] >= desk.clock.uptime())
        seen = len(desk.sent)
        for name in desk.late:
            late = waiting.pop(name, None)
            assert late is None or desk.clock.uptime() - 2 * SECOND <= late[1] < desk.clock.uptime()
        desk.clock.advance(min(pause, max(0, left[0].at - now)) if left else pause)
    assert sorted(desk.sent + desk.late, key=int) == [f"{n}" for n in range(len(coming))]


@dataclass
class Network:
    """Several processes with one store, and an API that answers after a while. Nothing blocks; time jumps."""

    database: Database
    limit: int
    luck: random.Random
    clock: FakeClock = field(default_factory=FakeClock)
    arrived: list[Duration] = field(default_factory=list)
    events: list[tuple[Duration, int, Slot, Budget, bool]] = field(default_factory=list)
    latencies: list[Duration] = field(default_factory=list)

    def process(self) -> tuple[Calls, Budget]:
        budget = Budget(self.database, self.clock, calls_per_minute=self.limit, reserve=0)
        return Calls(budget, self.clock, PATIENCE), budget

    def send(self, slot: Slot, budget: Budget) -> None:
        """The call arrives some time later; its answer comes, or it is given up."""
        latency = self.luck.choice((5, 200, 1_000, 3_000, PATIENCE))
        answered = latency < PATIENCE
        self.arrived.append(self.clock.uptime() + (self.luck.randint(0, latency) if answered else PATIENCE + 30 * SECOND))
        self.latencies.append(latency)
        self.events.append((self.clock.uptime() + latency, len(self.arrived), slot, budget, answered))
        self.events.sort(key=lambda each: each[:2])

    def answer(self) -> None:
        while self.events and self.events[0][0] <= self.clock.uptime():
            _, _, slot, budget, answered = self.events.pop(0)
            budget.give_back(slot, answered=answered)

    def run(self, until: Duration) -> None:
        """Let three processes send all they can."""
        processes = [self.process() for _ in range(3)]
        while self.clock.uptime() < until:
            self.answer()
            pauses = []
            for calls, budget in processes:
                if not len(calls):
                    calls.put(NORMAL, LATER, lambda slot, mine=budget: self.send(slot, mine), lambda: None)  # type: ignore[misc]
                pauses.append(calls.step())
            following = self.events[0][0] - self.clock.uptime() if self.events else SECOND
            self.clock.advance(max(0 if 0 in pauses else 1, min(*pauses, following)))


@pytest.mark.parametrize("seed", range(3))
def test_however_long_the_network_takes_no_minute_sees_more_calls_than_the_limit(database: Database, seed: int) -> None:
    limit = 10
    Desk.of(database)
    network = Network(database, limit, random.Random(seed))
    start = network.clock.uptime()
    network.run(start + 10 * MINUTE)
    arrived = sorted(network.arrived)
    assert all(later - earlier >= MINUTE for earlier, later in zip(arrived, arrived[limit:], strict=False))
    assert len(arrived) > limit * 6


def test_nearly_every_call_that_the_limit_allows_can_be_used(database: Database) -> None:
    limit = 20
    Desk.of(database)
    network = Network(database, limit, random.Random(1))
    start, minutes = network.clock.uptime(), 15
    network.run(start + minutes * MINUTE)
    answered = [latency if latency < PATIENCE else latency + 30 * SECOND for latency in network.latencies]
    mean = sum(answered) / len(answered)
    possible = limit * MINUTE / (MINUTE + mean) * minutes
    assert len(network.arrived) >= 0.95 * possible
