"""The clock of the budget on a server: it may be set, and no slot comes back the sooner for it (I1)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa

from alertd.clock import DAY, HOUR, MINUTE, SECOND, Duration, SystemClock
from alertd.reporting.budget import TRAVEL, Budget, Slot
from alertd.store.database import Database, open_database
from alertd.store.meter import JUMP, Reading, ServerMeter, UptimeMeter, meter_of, server_time
from alertd.store.tables import offsets
from alertd.testing import START, FakeClock
from tests.postgresql import Server

PATIENCE = 10 * SECOND


class Time:
    """The server's clock, which somebody may set."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self, _transaction: sa.Connection) -> Duration:
        return self.now


@pytest.fixture(scope="module")
def store(server: Server) -> Iterator[Database]:
    opened = open_database(server.new_store())
    yield opened
    opened.close()


@pytest.fixture
def database(store: Database) -> Database:
    with store.write() as transaction:
        for table in ("slots", "refusals", "claims", "offsets"):
            transaction.execute(sa.text(f"DELETE FROM {table}"))
    return store


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def read(database: Database, clock: FakeClock, time: Time) -> Callable[[], Reading]:
    """One reading in a transaction that writes."""

    def found() -> Reading:
        with database.write() as transaction:
            return ServerMeter(clock, time).read(transaction)

    return found


def a_budget(database: Database, clock: FakeClock, time: Time, calls: int = 3) -> Budget:
    return Budget(database, clock, calls_per_minute=calls, reserve=0, meter=ServerMeter(clock, time))


def lend_all(budget: Budget) -> list[Slot]:
    lent = []
    while isinstance(slot := budget.borrow(PATIENCE), Slot):
        lent.append(slot)
    return lent


def passes(clock: FakeClock, time: Time, by: Duration) -> None:
    clock.advance(by)
    time.now += by


def test_each_kind_of_store_has_its_clock(database: Database, clock: FakeClock) -> None:
    embedded = open_database("sqlite://")
    assert isinstance(meter_of(embedded, clock), UptimeMeter)
    assert isinstance(meter_of(database, clock), ServerMeter)
    embedded.close()


def test_the_server_tells_milliseconds_of_this_moment_and_not_of_the_transactions_beginning(database: Database) -> None:
    with database.write() as transaction:
        times = [server_time(transaction) for _ in range(2)]
        while server_time(transaction) == times[0]:
            pass
        assert times[0] <= times[1]
        assert START - 10_000 * DAY < times[0] < START + 10_000 * DAY


def test_processes_on_a_real_server_share_its_time(database: Database) -> None:
    one, other = (Budget(database, SystemClock(), calls_per_minute=3, reserve=0) for _ in range(2))
    assert len(lend_all(one)) == 3
    assert lend_all(other) == []
    assert other.state().in_use == 3


def test_time_that_passes_for_all_is_no_jump(read: Callable[[], Reading], clock: FakeClock, time: Time) -> None:
    for by in (1, SECOND, MINUTE, HOUR, 30 * DAY):
        passes(clock, time, by)
        assert not read().jumped
    assert read() == Reading(time.now, "server", clock.uptime())


@pytest.mark.parametrize("by", [-1000 * DAY, -HOUR, -JUMP - 1, JUMP + 1, HOUR, 1000 * DAY])
def test_a_clock_that_is_set_is_told_of_once(read: Callable[[], Reading], clock: FakeClock, time: Time, by: Duration) -> None:
    read()
    time.now += by
    assert [read().jumped for _ in range(3)] == [True, False, False]
    passes(clock, time, HOUR)
    assert not read().jumped


@pytest.mark.parametrize("by", [-700, 700])
def test_small_steps_add_up_to_a_jump(read: Callable[[], Reading], clock: FakeClock, time: Time, by: Duration) -> None:
    read()
    found = []
    for _ in range(6):
        passes(clock, time, SECOND)
        time.now += by
        found.append(read().jumped)
    assert found == [False, False, True, False, False, True]


def test_to_and_fro_is_covered_as_far_as_it_reaches(read: Callable[[], Reading], time: Time) -> None:
    read()
    found = []
    for by in (1500, -1500, -600, 600):
        time.now += by
        found.append(read().jumped)
    assert found == [False, False, True, False]


@pytest.mark.parametrize("drift", [-100, 100])  # parts in a million, which is much
def test_clocks_that_drift_apart_are_not_set(
    read: Callable[[], Reading], clock: FakeClock, time: Time, drift: Duration
) -> None:
    for _ in range(200):
        passes(clock, time, HOUR)
        time.now += HOUR * drift // 1_000_000
        assert not read().jumped


@pytest.mark.parametrize("by", [-HOUR, HOUR, 3 * SECOND])
def test_after_a_jump_all_slots_start_used_whoever_asks(database: Database, clock: FakeClock, time: Time, by: Duration) -> None:
    budget = a_budget(database, clock, time)
    for slot in lend_all(budget):
        budget.give_back(slot)
    time.now += by
    newcomer = a_budget(database, clock, time)
    assert newcomer.state().in_use == 3
    assert lend_all(newcomer) == []
    rest = MINUTE + JUMP + 100 + TRAVEL
    passes(clock, time, rest - 1)
    assert (lend_all(newcomer), lend_all(budget)) == ([], [])
    passes(clock, time, 1)
    assert len(lend_all(budget)) == 3


def test_a_jump_that_is_seen_first_by_whoever_returns_a_slot_is_not_lost(
    database: Database, clock: FakeClock, time: Time
) -> None:
    ways: tuple[Callable[[Budget, Slot], None], ...] = (
        lambda budget, slot: budget.give_back(slot),
        lambda budget, slot: budget.give_back(slot, used=False),
        lambda budget, _slot: budget.refused(0),
        lambda budget, _slot: budget.claim(1, MINUTE),
    )
    for notice in ways:
        budget = a_budget(database, clock, time)
        passes(clock, time, HOUR)
        first, *_ = lend_all(budget)
        time.now += HOUR
        notice(budget, first)
        assert len(lend_all(budget)) <= 1  # at most the one that was returned without having been used
        assert budget.state().in_use >= 3


def test_whoever_only_looks_leaves_the_jump_to_the_next_one_that_writes(
    database: Database, clock: FakeClock, time: Time
) -> None:
    budget = a_budget(database, clock, time)
    lend_all(budget)
    passes(clock, time, HOUR)
    time.now += HOUR
    assert [budget.state().free for _ in range(2)] == [0, 0]
    assert lend_all(budget) == []


def test_a_transaction_that_fails_leaves_the_jump_to_the_next_one(database: Database, clock: FakeClock, time: Time) -> None:
    meter = ServerMeter(clock, time)
    with database.write() as transaction:
        meter.read(transaction)
    time.now += HOUR

    def fail(transaction: sa.Connection) -> None:
        assert meter.read(transaction).jumped
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), database.write() as transaction:
        fail(transaction)
    with database.write() as transaction:
        assert meter.read(transaction).jumped


def test_a_block_and_a_claim_end_soon_after_a_jump_however_far_it_was(database: Database, clock: FakeClock, time: Time) -> None:
    budget = a_budget(database, clock, time, calls=10)
    budget.claim(4, HOUR)
    budget.refused(MINUTE)
    time.now -= 1000 * DAY
    budget.borrow(PATIENCE)
    assert (budget.state().blocked_for, budget.state().claimed) == (MINUTE, 0)


def test_each_machine_has_its_own_uptime(database: Database, time: Time) -> None:
    machines = [FakeClock(uptime=number * DAY, boot=f"boot-{number}") for number in range(3)]
    for _ in range(3):
        for machine in machines:
            with database.write() as transaction:
                assert not ServerMeter(machine, time).read(transaction).jumped
            for each in machines:
                each.advance(MINUTE)
            time.now += MINUTE


def test_a_boot_of_the_machine_changes_nothing_for_the_slots(database: Database, clock: FakeClock, time: Time) -> None:
    budget = a_budget(database, clock, time)
    lend_all(budget)
    clock.reboot("second-boot")
    assert budget.state().in_use == 3
    passes(clock, time, HOUR)
    assert len(lend_all(budget)) == 3


def test_a_call_must_be_sent_by_the_uptime_of_its_own_machine(database: Database, clock: FakeClock, time: Time) -> None:
    slot = a_budget(database, clock, time).borrow(PATIENCE)
    assert isinstance(slot, Slot)
    assert slot.send_before == clock.uptime() + PATIENCE


@pytest.mark.parametrize("before", [0, 4 * SECOND])
@pytest.mark.parametrize("after", [0, 4 * SECOND])
def test_an_answer_that_takes_long_never_hides_that_the_clock_was_set_forward(
    database: Database, clock: FakeClock, time: Time, before: Duration, after: Duration
) -> None:
    with database.write() as transaction:
        ServerMeter(clock, time).read(transaction)
    time.now += 4 * SECOND

    def slowly(_transaction: sa.Connection) -> Duration:
        passes(clock, time, before)
        now = time.now
        passes(clock, time, after)
        return now

    with database.write() as transaction:
        reading = ServerMeter(clock, slowly).read(transaction)
    assert reading.jumped
    assert reading.uptime == clock.uptime() - before - after


@pytest.mark.parametrize("step", [JUMP, JUMP // 2, -JUMP])
def test_steps_that_are_too_small_to_be_seen_shorten_no_slots_rest(
    database: Database, clock: FakeClock, time: Time, step: Duration
) -> None:
    budget = a_budget(database, clock, time, calls=1)
    (slot,) = lend_all(budget)
    budget.give_back(slot)
    time.now += step
    assert not budget.state().free
    passes(clock, time, MINUTE)
    assert lend_all(budget) == []
    passes(clock, time, 2 * JUMP + 100)
    assert len(lend_all(budget)) == 1


def test_machines_that_are_gone_are_forgotten(database: Database, time: Time) -> None:
    for number in range(40):
        with database.write() as transaction:
            ServerMeter(FakeClock(boot=f"boot-{number}"), time).read(transaction)
        time.now += 2 * DAY
    with database.read() as transaction:
        assert 10 < len(transaction.execute(sa.select(offsets)).all()) < 20


def test_a_row_is_not_written_for_every_reading(
    database: Database, read: Callable[[], Reading], clock: FakeClock, time: Time
) -> None:
    changes: list[str] = []
    sa.event.listen(database._engine, "before_cursor_execute", lambda *all_: changes.append(all_[2]))
    for _ in range(100):
        passes(clock, time, 100)
        read()
    assert sum("UPDATE offsets" in each for each in changes) <= 2
