"""I10: a rule runs on when the clock was set back before it ever ran, as after a start with a clock that was wrong."""

from __future__ import annotations

import pytest

from alertd.clock import DAY, HOUR, MINUTE, Duration
from alertd.evaluation.schedule import Due, due
from alertd.store.database import Database
from alertd.testing import START, a_rule
from tests.evaluation.living import Living
from tests.evaluation.world import World, scored

RULE = a_rule(every=5 * MINUTE)


@pytest.mark.parametrize("back", [HOUR, 400 * DAY])
def test_a_rule_that_never_ran_does_not_wait_for_a_time_that_was_wrong(back: Duration) -> None:
    now = START - back + 2 * MINUTE
    assert due(RULE, None, START, now) == Due(RULE, START - back)
    assert due(RULE, START - back, START, now) is None


def test_a_daemon_that_was_started_with_a_wrong_clock_checks_its_rules(database: Database) -> None:
    world = World.of(database, scored())
    living = Living(database, world.book)
    living.clock.set_wall(START - DAY)
    assert [judged.due.at for judged, _ in living.judged()] == [START - DAY]
    assert living.judged() == []
    living.clock.advance(5 * MINUTE)
    assert [judged.due.at for judged, _ in living.judged()] == [START - DAY + 5 * MINUTE]
