"""The engine: what it takes up when it begins, and what it does without threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from alertd.channels.base import Access
from alertd.clock import HOUR, MINUTE, Instant
from alertd.engine import AGAIN, DOWN, GATHERING, Engine, Parts, downtime
from alertd.evaluation.schedule import Due
from alertd.notices.outbox import Outbox
from alertd.rulebook.rule import Rulebook
from alertd.store.database import Database
from alertd.store.tables import deliveries
from alertd.testing import START, FakeApi, FakeClock, a_rule, a_source
from alertd.watching import Watch

RULES = """\
defaults: {owner: team, notify: post}
rules:
  - {id: some, title: Somebody, measure: count, every: 5m, window: 30m, delay: 0s, warning: {above: 9}}
"""
DUE = Due(a_rule(), START, missed=3)


class Life:
    """Engines on one store and one folder, one after the other."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.clock, self.database, self.folder = FakeClock(), database, folder
        self.api = FakeApi(self.clock)
        (folder / "receivers.yaml").write_text("receivers: {post: {email: {to: [ann@example.com]}}}", encoding="utf-8")
        self.write(RULES)

    def write(self, rules: str) -> None:
        (self.folder / "rules.yaml").write_text(rules, encoding="utf-8")

    def begin(self) -> Engine:
        def outbox(book: Callable[[], Rulebook]) -> Outbox:
            return Outbox(self.database, self.clock, book, Access(), lambda _kind, _notice: {})

        source = a_source(self.api.ask, self.database, self.clock)
        made = Parts(self.database, self.clock, source, outbox, Access())
        engine = Engine(made, self.folder, Watch(self.clock), lambda: None)
        engine.begin(self.clock.advance)
        return engine

    @contextmanager
    def broken(self) -> Iterator[None]:
        """The store takes no decision for as long as the block."""
        with self.database.write() as transaction:
            transaction.execute(sa.text("ALTER TABLE decisions RENAME TO gone"))
        yield
        with self.database.write() as transaction:
            transaction.execute(sa.text("ALTER TABLE gone RENAME TO decisions"))

    def told(self) -> list[str]:
        with self.database.read() as transaction:
            return list(transaction.scalars(sa.select(deliveries.c.kind).order_by(deliveries.c.id)))


def checked(engine: Engine) -> int:
    """How many rules were due, now that they are checked."""
    return len(list(engine.check(engine.claim())))


@pytest.fixture
def life(database: Database, tmp_path: Path) -> Life:
    return Life(database, tmp_path)


def test_a_rule_is_checked_once_at_each_of_its_instants(life: Life) -> None:
    engine = life.begin()
    assert checked(engine) == 0
    for _ in range(3):
        life.clock.advance(5 * MINUTE)
        assert [checked(engine), checked(engine)] == [1, 0]


def test_what_another_process_has_checked_is_not_checked_again(life: Life) -> None:
    life.begin()
    life.clock.advance(5 * MINUTE)
    assert checked(life.begin()) == 0  # it knows the rule only from now on
    life.clock.advance(5 * MINUTE)
    assert checked(life.begin()) == 0
    engine = life.begin()
    life.clock.advance(5 * MINUTE)
    assert checked(engine) == 1
    assert checked(life.begin()) == 0


def test_what_was_missed_while_nobody_ran_is_checked_at_the_beginning_and_gathered(life: Life) -> None:
    engine = life.begin()
    life.clock.advance(5 * MINUTE)
    checked(engine)
    life.clock.advance(3 * HOUR)
    again = life.begin()
    assert again.outbox.gathering is not None
    assert again.outbox.gathering.until == life.clock.uptime() + GATHERING
    assert again.outbox.gathering.reason.startswith("alertd was not running from ")
    assert [checked(again), checked(again)] == [1, 0]
    assert again.outbox.gathering.until == life.clock.uptime()  # the first checks are done


@pytest.mark.parametrize(
    ("last", "dues"),
    [
        (None, (DUE,)),  # it never ran
        (START - DOWN + 1, (DUE,)),  # only for a moment
        (START - 3 * HOUR, (Due(a_rule(), START),)),  # nothing was to be checked meanwhile
        (START - 3 * HOUR, ()),
    ],
)
def test_without_a_downtime_nothing_is_gathered(last: Instant | None, dues: tuple[Due, ...]) -> None:
    assert downtime(last, dues, START) is None


def test_wrong_rule_files_change_nothing_and_good_ones_are_taken_when_they_have_settled(life: Life) -> None:
    engine = life.begin()
    before = engine.book
    life.write(RULES.replace("measure", "maesure"))
    for _ in range(3):
        life.clock.advance(engine.look())
    assert engine.book is before
    life.write(RULES.replace("Somebody", "Anybody"))
    for _ in range(3):
        life.clock.advance(engine.look())
    assert engine.book.rules["some"].title == "Anybody"


def test_who_was_told_of_wrong_files_hears_that_they_are_good_from_the_next_process_too(life: Life) -> None:
    life.begin()
    life.write(RULES.replace("measure", "maesure"))
    life.begin()
    assert life.told() == ["opened"]
    life.write(RULES)
    life.begin()
    assert life.told() == ["opened", "resolved"]


def test_what_the_store_does_not_take_is_checked_again_soon(life: Life) -> None:
    engine = life.begin()
    life.clock.advance(5 * MINUTE)
    with life.broken(), capture_logs():
        checked(engine)
    assert engine.owes
    assert engine.next_instant() == life.clock.now() + AGAIN
    life.clock.advance(AGAIN)
    assert (checked(engine), engine.owes) == (1, False)
    assert engine.next_instant() == START + 10 * MINUTE


def test_what_the_store_never_takes_of_one_rule_is_tried_once_more_and_then_at_its_next_instant(life: Life) -> None:
    life.write(RULES.replace("every: 5m", "every: 1h"))
    engine = life.begin()
    life.clock.advance(HOUR)
    due = list[int]()
    with life.broken():
        for _ in range(4):
            claimed = engine.claim()
            due.append(len(claimed.dues))
            list(engine.check(claimed))
            life.clock.advance(AGAIN)
    assert due == [1, 1, 0, 0]
    assert not engine.owes
