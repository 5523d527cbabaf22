"""Explanations: read from a store that real checks have filled, and put in words for a tired person."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alertd.clock import DAY, HOUR, MINUTE, SECOND, Duration
from alertd.errors import AlertdError, DeliveryError, TimedOut
from alertd.evaluation import ledger, timeline
from alertd.evaluation.explained import to_text
from alertd.evaluation.explained_data import to_json
from alertd.evaluation.explaining import Explanation, explain
from alertd.evaluation.finding import Question, Shelf
from alertd.evaluation.ledger import Record
from alertd.evaluation.machine import step
from alertd.evaluation.reasons import headline, notes
from alertd.evaluation.timeline import Cause, Gap
from alertd.facts import CONVERSATION, Alert, Change, Evidence, Group, Kind, Level, State, Verdict
from alertd.notice import Notice
from alertd.notice import to_json as notice_to_json
from alertd.notices import silences
from alertd.notices.silences import Silence
from alertd.rulebook.calendars import Calendar
from alertd.rulebook.rule import Rule
from alertd.store.database import Database, open_database
from alertd.store.tables import decisions, deliveries, incidents, notices
from alertd.testing import START, FakeChannel, a_rule, a_verdict
from alertd.units import Unit
from tests.evaluation.world import World, scored

AGENT = "lastAgentId"
OFFICE = Calendar("office-hours", "UTC", (((8 * HOUR, 18 * HOUR),),) * 5 + ((), ()))
DAEMON = "123"


def ask(world: World, rule: str = "slow", group: str | None = None, **question: Any) -> Explanation:
    """What is known of a rule now, or `at` a moment, while a daemon runs."""
    with world.database.read() as transaction:
        return explain(transaction, Question(rule, group, **question), Shelf(world.book), world.clock.now(), DAEMON)


def told(found: Explanation) -> str:
    """The whole text on one line, so that a test need not know where lines end."""
    return " ".join(to_text(found).split())


def checks(world: World, *scores: float, **values: Any) -> None:
    """A check for each of the scores, every 5 min, with one conversation that has it; the window is to be as short."""
    for score in scores:
        world.add(score, ago=-4 * MINUTE, **values)
        world.check()


def slow(database: Database, *rules: Rule, **changes: Any) -> World:
    """A world with a rule `slow` that looks at the last 5 min."""
    return World.of(database, scored(window=5 * MINUTE, **changes), *rules)


def fails(world: World) -> None:
    world.api.refuses = lambda _query: TimedOut("the API took too long")


def works(world: World) -> None:
    world.api.refuses = lambda _query: None


def test_within_the_limit_is_why_it_does_not_fire(database: Database) -> None:
    world = slow(database, owner="support", file="answers.yaml", line=4)
    checks(world, 3)
    text = told(ask(world))
    assert text.startswith("slow: First answers are slow Median lead score over the last 5 min: warning above 5 (ends at 4).")
    assert "answers.yaml:4, owner support, commit test" in text
    assert "It does not fire: 3 is not above 5. Next check: 2026-11-02T09:10:00Z (in 5 min)." in text
    assert "decided 2026-11-02T09:05:00Z (just now) window 2026-11-02T09:00:00Z to 2026-11-02T09:05:00Z (5 min)" in text
    assert "value 3; limits: warning above 5 (ends at 4) evidence ok level ok" in text
    assert "Nothing: there was no incident of this rule." in text


def test_pending_says_how_much_of_for_is_reached(database: Database) -> None:
    world = slow(database, hold=10 * MINUTE)
    checks(world, 3, 9, 9)
    found = ask(world)
    assert headline(found) == "It does not fire yet: over the limit for 5 min of the 10 min that `for` wants. 9 is above 5."
    assert "09:05 1 check within the limit, 3" in told(found)
    assert "09:10 1 check pending: over the limit (warning), 9" in told(found)


def test_what_is_not_known_does_not_count_towards_for(database: Database) -> None:
    world = slow(database, hold=10 * MINUTE)
    checks(world, 9, 9)
    fails(world)
    world.check()
    said = headline(ask(world))
    assert said.startswith("It does not fire: there was no complete answer, and without evidence nothing fires.")
    assert said.endswith("The timer stands still: over the limit for 5 min of the 10 min that `for` wants.")


def test_back_within_the_limit_before_it_was_time(database: Database) -> None:
    world = slow(database, hold=10 * MINUTE)
    checks(world, 9, 3)
    assert headline(ask(world)) == "It does not fire: it was back within the limit before `for` was reached. 3 is not above 5."
    assert "state pending -> inactive" in told(ask(world))


def test_too_few_values_are_too_little_to_judge_by(database: Database) -> None:
    world = slow(database, min_conversations=20)
    checks(world, 9)
    expected = "It does not fire: there is too little to judge by. 1 value is fewer than min_conversations: 20."
    assert headline(ask(world)) == expected
    assert "level none, so nothing moves" in told(ask(world))


def test_nothing_to_measure_changes_nothing(database: Database) -> None:
    world = slow(database)
    world.check()
    assert headline(ask(world)).endswith("no conversation has a value; then everything stays as it is.")


def test_without_an_answer_nothing_fires_and_nothing_is_over(database: Database) -> None:
    world = slow(database)
    fails(world)
    world.check()
    expected = "there was no complete answer, and without evidence nothing {}. The API took too long."
    assert headline(ask(world)) == "It does not fire: " + expected.format("fires")
    assert notes(ask(world))[0] == "The rule has not been judged since 2026-11-02T09:05:00Z (just now)."
    works(world)
    checks(world, 9)
    fails(world)
    world.check()
    assert headline(ask(world)) == "It still fires: " + expected.format("is over")
    assert "no answer: the API took too long (still firing)" in told(ask(world))


def test_between_limit_and_recover_it_still_fires_and_says_what_it_waits_for(database: Database) -> None:
    world = slow(database)
    checks(world, 9, 4.5)
    expected = "It still fires (warning): 4.5 is not above 5, but it ends only at 4, which `recover` wants."
    assert headline(ask(world)) == expected
    assert "firing, not yet at `recover`, 4.5" in told(ask(world))


def test_a_value_that_only_looks_recovered_is_told_to_the_millisecond(database: Database) -> None:
    rule = a_rule(window=5 * MINUTE, warning=(5 * SECOND, 4 * SECOND))
    world = World.of(database, rule)
    for wait in (9_000, 4_321):
        world.api.add(world.clock.now() + MINUTE, timeToAgentResponseMillis=wait)
        world.check()
    expected = "4 s is not above 5 s, but it ends only at 4 s, which `recover` wants (exactly it is 4.321 s)."
    assert headline(ask(world)) == f"It still fires (warning): {expected}"


def test_recovering_says_how_much_of_keep_firing_is_reached(database: Database) -> None:
    world = slow(database, keep_firing=10 * MINUTE)
    checks(world, 9, 3, 3)
    said = headline(ask(world))
    assert said == "It still counts as firing: recovered for 5 min of the 10 min that `keep_firing` wants. 3 is not above 5."
    checks(world, 3)
    assert headline(ask(world)) == "It no longer fires: it has recovered. 3 is not above 5."
    assert "state recovering -> inactive: recovered" in told(ask(world))


def test_a_span_that_covers_the_moment_says_whose_figures_it_shows(database: Database) -> None:
    world = slow(database)
    checks(world, 1, 2, 3)
    found = ask(world, at=START + 7 * MINUTE)
    assert headline(found) == "It did not fire: 3 is not above 5 (at the end of these checks)."
    span = "from 2026-11-02T09:05:00Z to 2026-11-02T09:15:00Z, 3 checks that came to the same; the figures are the last one's"
    assert span in told(found)


def test_a_moment_between_two_checks_is_that_of_the_one_before(database: Database) -> None:
    world = slow(database, hold=10 * MINUTE)
    checks(world, 3, 9, 9, 9)
    assert headline(ask(world, at=START + 9 * MINUTE)) == "It did not fire: 3 is not above 5."
    pending = "It did not fire yet: over the limit for 0 s of the 10 min that `for` wants. 9 is above 5."
    assert headline(ask(world, at=START + 12 * MINUTE)) == pending
    assert headline(ask(world, at=START + 20 * MINUTE)) == "It fired (warning): 9 is above 5."


def test_a_moment_before_the_first_check_is_not_known(database: Database) -> None:
    world = slow(database)
    checks(world, 3)
    assert headline(ask(world, at=START - DAY)).startswith("Nothing is known of that time: the first check was later")
    with pytest.raises(AlertdError, match="lies in the future"):
        ask(world, at=START + DAY)


def test_checks_that_were_missed_are_named_and_not_taken_for_calm(database: Database) -> None:
    world = slow(database)
    checks(world, 3)
    world.clock.advance(20 * MINUTE)
    said = headline(ask(world))
    assert said.startswith("Nothing is known now: 3 checks were due since the last record, and none was written.")
    assert "09:05-09:25 no record: 3 checks missing" in told(ask(world))
    checks(world, 3)
    assert "09:05-09:30 2 of 6 checks within the limit, 3 at the end" in told(ask(world))
    checks(world, 9)
    world.clock.advance(10 * MINUTE)
    checks(world, 9)
    assert "09:35-09:50 no record: 2 checks missing" in told(ask(world))


def test_without_a_daemon_it_says_that_nothing_is_checked(database: Database) -> None:
    world = slow(database)
    checks(world, 3)
    with database.read() as transaction:
        found = explain(transaction, Question("slow"), Shelf(world.book), world.clock.now(), None)
    assert "No daemon runs on this store, so nothing is checked and nothing is sent." in notes(found)
    assert not [each for each in notes(found) if each.startswith("Next check")]


def test_a_closed_calendar_is_named_with_its_opening_and_the_next_check(database: Database) -> None:
    world = slow(database, calendar=OFFICE)
    world.clock.advance(9 * HOUR - 10 * MINUTE)
    checks(world, 3, 3)
    world.clock.advance(4 * HOUR)
    found = ask(world)
    assert headline(found).startswith("The rule is not checked now: the calendar office-hours is closed.")
    assert "The calendar office-hours is closed now: it opens 2026-11-03T08:00:00Z (in 10 h)." in notes(found)
    assert "Next check: 2026-11-03T08:05:00Z (in 10 h 5 min)." in notes(found)
    assert found.since == Gap(START + 9 * HOUR, world.clock.now(), Cause.CLOSED, 0)


def test_a_rule_that_was_never_checked_says_when_it_will_be(database: Database) -> None:
    world = slow(database)
    text = told(ask(world))
    assert "It has not been checked yet. Next check: 2026-11-02T09:05:00Z (in 5 min)." in text
    assert "Timeline" not in text


def test_an_incident_with_its_notices_and_what_became_of_them(database: Database) -> None:
    channel = FakeChannel()
    world = World.of(database, scored(window=5 * MINUTE), receivers={"team": channel})
    checks(world, 9)
    assert "2026-11-02T09:05:00Z opened warning team: queued, due now" in told(ask(world))
    channel.taken.failures.append(DeliveryError("no route to host"))
    world.send()
    assert "team: queued, next try 2026-11-02T09:05:0" in told(ask(world))
    assert "last error: no route to host" in told(ask(world))
    checks(world, 3)
    assert "resolved team: queued, waits for the message before it" in told(ask(world))
    world.send()
    text = told(ask(world))
    assert "Incident 1, over, from 2026-11-02T09:05:00Z to 2026-11-02T09:10:00Z (just now):" in text
    assert "opened warning team: sent 2026-11-02T09:10:00Z after 2 attempts" in text
    assert "resolved team: sent 2026-11-02T09:10:00Z" in text


def test_a_delivery_that_went_to_the_fallback_or_reached_nobody_says_so(database: Database) -> None:
    broken, mail = FakeChannel(), FakeChannel()
    world = World.of(database, scored(window=5 * MINUTE), receivers={"team": broken, "mail": mail})
    world.book = replace(world.book, fallback="mail")
    checks(world, 9)
    broken.taken.failures.append(DeliveryError("channel_not_found", permanent=True))
    world.send()
    assert "team, through the fallback mail: sent 2026-11-02T09:05:00Z" in told(ask(world))
    change(database, deliveries, state="dead", error="550 no such user", attempts=5)
    assert "mail: dead after 5 attempts, nobody was reached: 550 no such user" in told(ask(world))


def test_why_nobody_was_told_is_said_with_who_has_it_and_who_wants_quiet(database: Database) -> None:
    world = slow(database)
    checks(world, 9)
    change(database, decisions, untold="silenced until 10:00 UTC by anna")
    change(database, incidents, muted="silenced until 10:00 UTC by anna", acknowledged_at=START, acknowledged_by="ben")
    with database.write() as transaction:
        silences.add(transaction, Silence(START, START + HOUR, "anna", "deploy", rule="slow"))
        silences.add(transaction, Silence(START, START + HOUR, "anna", "of others", rule="another"))
        silences.add(transaction, Silence(START + HOUR, START + DAY, "anna", "later", rule="slow"))
    text = told(ask(world))
    assert "Not told at that check: silenced until 10:00 UTC by anna." in text
    assert "Nobody is told at present: silenced until 10:00 UTC by anna." in text
    assert "Acknowledged by ben at 2026-11-02T09:00:00Z: no reminders, no escalation." in text
    assert "Silence 1 (slow) by anna until 2026-11-02T10:00:00Z: deploy." in text
    assert "of others" not in text
    assert "later" not in text


def test_a_rule_that_is_quiet_while_another_fires_says_so(database: Database) -> None:
    world = slow(database, scored(id="widget", window=5 * MINUTE), quiet_while=("widget", "calm"))
    checks(world, 9)
    assert "Nobody is told while widget fires, and it does." in told(ask(world))
    assert "calm" not in told(ask(world))


def test_a_level_without_receivers_is_named(database: Database) -> None:
    world = slow(database, notify={})
    checks(world, 3)
    assert "No receiver is named for warning." in told(ask(world))


def test_many_groups_are_listed_worst_first_with_the_way_to_one(database: Database) -> None:
    world = World.of(database, scored(window=5 * MINUTE, by=AGENT))
    for agent, score in ((7, 3), (8, 9), (9, 20)):
        world.add(score, ago=-4 * MINUTE, lastAgentId=agent)
    world.check()
    found = ask(world)
    assert [each.record.group.id for each in found.standings] == [9, 8, 7]
    text = told(found)
    assert "Of 3 agents with a record 2 fire." in text
    assert "lastAgentId=9 just now fires (warning), 20 lastAgentId=8 just now fires (warning), 9" in text
    assert "More: alertd explain slow --group 9" in text


def test_a_group_is_found_by_its_key_or_its_id_and_notices_that_list_it_say_so(database: Database) -> None:
    world = World.of(database, scored(window=5 * MINUTE, by=AGENT))
    world.add(9, ago=-4 * MINUTE, lastAgentId=7)
    world.add(3, ago=-4 * MINUTE, lastAgentId=8)
    world.check()
    assert ask(world, group="7").group == ask(world, group="lastAgentId=7").group == Group(AGENT, 7)
    assert "opened warning, lists lastAgentId=7" in told(ask(world, group="7"))
    assert "no notice lists lastAgentId=8" in told(ask(world, group="8"))


def test_an_error_of_the_whole_rule_is_a_decision_on_each_group(database: Database) -> None:
    world = World.of(database, scored(window=5 * MINUTE, by=AGENT))
    checks(world, 9, 9, lastAgentId=7)
    fails(world)
    world.check()
    found = ask(world, group="7")
    assert headline(found).startswith("It still fires: there was no complete answer")
    assert "09:15 1 check all groups: no answer: the API took too long" in told(found)
    works(world)
    checks(world, 9, 9, lastAgentId=7)
    # The record of the group goes on over the error, which is still to be seen in between.
    assert "09:10-09:25 3 of 4 checks firing (warning), 9 at the end" in told(ask(world, group="7"))
    assert headline(ask(world, group="7", at=START + 16 * MINUTE)).startswith("It still fired: there was no complete answer")
    assert headline(ask(world, group="7")) == "It fires (warning): 9 is above 5."


def test_a_gap_of_one_group_is_only_blamed_on_the_answers_if_another_proves_that_there_were_any(database: Database) -> None:
    world = World.of(database, scored(window=5 * MINUTE, by=AGENT, hold=HOUR))
    world.add(3, ago=-4 * MINUTE, lastAgentId=7)
    checks(world, 3, 3, lastAgentId=8)
    world.add(9, ago=-4 * MINUTE, lastAgentId=7)
    checks(world, 3, lastAgentId=8)
    world.clock.advance(10 * MINUTE)
    world.add(3, ago=-4 * MINUTE, lastAgentId=7)
    checks(world, 3, lastAgentId=8)
    gaps = [each for each in ask(world, group="7").timeline if isinstance(each, Gap)]
    first, second, third = (START + number * MINUTE for number in (5, 15, 30))
    assert gaps == [Gap(first, second, Cause.NOTHING, 1), Gap(second, third, Cause.NOTHING, 2)]
    assert "09:05-09:30 4 of 6 checks" in told(ask(world, group="8"))


def test_another_group_whose_checks_are_all_there_proves_that_there_were_answers(database: Database) -> None:
    world = World.of(database, scored(window=5 * MINUTE, by=AGENT, hold=HOUR))
    world.add(3, ago=-4 * MINUTE, lastAgentId=7)
    checks(world, 3, 3, lastAgentId=8)
    world.add(9, ago=-4 * MINUTE, lastAgentId=7)
    checks(world, 3, lastAgentId=8)
    gaps = [each for each in ask(world, group="7").timeline if isinstance(each, Gap)]
    assert gaps == [Gap(START + 5 * MINUTE, START + 15 * MINUTE, Cause.ABSENT, 1)]


def test_at_a_moment_only_the_incidents_that_had_begun_are_known(database: Database) -> None:
    world = slow(database, reopen_within=20 * MINUTE)
    checks(world, 3, 9, 3, 9)
    assert ask(world, at=START + 6 * MINUTE).episode is None
    # It was opened again since, and has the date of that; its first notice is older.
    known = ask(world, at=START + 11 * MINUTE).episode
    assert known is not None
    assert [each.notice.kind for each in known.told] == [Kind.OPENED, Kind.RESOLVED, Kind.OPENED]
    assert "opened again warning" in told(ask(world))


def test_a_group_that_answers_no_longer_have_is_not_taken_for_unchecked(database: Database) -> None:
    world = World.of(database, scored(window=5 * MINUTE, by=AGENT))
    world.add(3, ago=-4 * MINUTE, lastAgentId=7)
    checks(world, 3, 3, 3, lastAgentId=8)
    world.clock.advance(2 * MINUTE)
    said = headline(ask(world, group="7"))
    expected = "It does not fire: it was checked since, and no answer had a conversation of lastAgentId=7."
    assert said == f"{expected} The figures are of its last check, 12 min ago."
    assert "no record: checked, without a conversation of it" in told(ask(world, group="7"))


def test_a_firing_group_that_answers_lack_says_when_it_will_be_over(database: Database) -> None:
    world = World.of(database, scored(window=5 * MINUTE, by=AGENT))
    checks(world, 9, lastAgentId=7)
    checks(world, 3, 3, lastAgentId=8)
    world.clock.advance(MINUTE)
    said = headline(ask(world, group="7"))
    assert "no answer had a conversation of lastAgentId=7. That is so for 10 min; after 1 h it is over." in said


def test_of_a_conversation_that_was_never_over_the_limit_there_is_no_record_and_that_is_said(database: Database) -> None:
    world = World.of(database, scored(measure={"max": "cqlScore"}, by=CONVERSATION, window=HOUR))
    calm, late = world.add(3, ago=-MINUTE), world.add(9, ago=-MINUTE)
    world.check()
    said = headline(ask(world, group=str(calm)))
    assert said.startswith(f"It did not fire: there is no record of conversation {calm}.")
    assert "Only conversations that are or were over the limit have records" in said
    assert headline(ask(world, group=str(late))) == "It fires (warning): 9 is above 5."
    world.clock.advance(HOUR)
    world.check()
    assert headline(ask(world, group=str(late))).startswith("It no longer fires: the conversation is no longer among those")
    assert "all groups: no data: no conversations in the window" in told(ask(world))


def test_conversations_within_the_limit_are_told_together(database: Database) -> None:
    world = World.of(database, scored(measure={"max": "cqlScore"}, by=CONVERSATION, window=HOUR))
    world.add(3, ago=-MINUTE)
    world.check()
    assert headline(ask(world)) == "None of 1 conversations is over the limit."


def test_a_report_never_fires_and_lists_what_was_told(database: Database) -> None:
    rule = scored(id="morning", report=True, limits=(), notify={Level.OK: ("team",)})
    world = World.of(database, rule)
    verdict = replace(a_verdict(3.0, rule="morning"), reason="3")
    with database.write() as transaction:
        ledger.record(transaction, [Record(verdict, State.INACTIVE, Change.QUIET, Kind.REPORT, "test")])
        for name in ("morning", "evening"):
            body = notice_to_json(a_report(name))
            key = transaction.execute(sa.insert(notices).values(kind="report", at=START, body=body)).inserted_primary_key
            transaction.execute(sa.insert(deliveries).values(a_delivery(int(key[0]) if key else 0, name)))
    text = told(ask(world, "morning"))
    assert "It is a report, told at every check; it never fires. 3." in text
    assert "Reports, the newest last: 2026-11-02T09:00:00Z report morning: sent 2026-11-02T09:00:00Z" in text
    assert "evening" not in text


def test_a_rule_that_is_no_more_is_explained_from_the_records(database: Database) -> None:
    world = slow(database, hold=10 * MINUTE)
    checks(world, 9)
    world.take()
    found = ask(world)
    assert found.rule is None
    assert notes(found)[0] == "The rule is in no rulebook any more; all of this is from the records."
    assert "It does not fire: the rule was removed." in told(found)


def test_a_rule_of_the_files_that_no_daemon_has_taken_says_so(database: Database) -> None:
    world = slow(database)
    with database.read() as transaction:
        found = explain(transaction, Question("slow"), Shelf(None, world.book), world.clock.now(), DAEMON)
    assert notes(found)[0].startswith("The rule stands in the files, but no daemon has taken it yet")


def test_a_decision_of_another_commit_says_so(database: Database) -> None:
    world = slow(database)
    checks(world, 3)
    world.book = replace(world.book, revision="later")
    assert "That was decided by commit test; the rule is told as of later." in notes(ask(world))


@pytest.mark.parametrize(
    ("rule", "group", "said"),
    [
        ("agnets", None, 'there is no rule "agnets", neither in the rulebook nor in the records; did you mean agents?'),
        ("x", None, "there are agents, slow"),
        ("agents", "50107", 'no record of a group "50107"; did you mean lastAgentId=501073?'),
        ("agents", "lastAgentId=12", "there are lastAgentId=501073 (write lastAgentId=ID, or the id alone)"),
        ("agents", "firstAgentId=501073", "did you mean lastAgentId=501073?"),
        ("slow", "7", "slow has one group only, all conversations; leave --group out"),
    ],
)
def test_an_unknown_rule_or_group_names_what_was_meant(rule: str, group: str | None, said: str) -> None:
    database = open_database("sqlite://")
    world = slow(database, scored(id="agents", by=AGENT))
    checks(world, 3, lastAgentId=501073)
    with pytest.raises(AlertdError) as raised:
        ask(world, rule, group)
    assert said in str(raised.value)
    database.close()


def test_no_line_is_wider_than_the_terminal_and_the_data_are_json(database: Database) -> None:
    world = World.of(database, scored(window=5 * MINUTE, by=AGENT, hold=5 * MINUTE, description="x" * 200))
    checks(world, 3, 9, 9, lastAgentId=501073)
    fails(world)
    world.check()
    for found in (ask(world), ask(world, group="501073"), ask(world, at=START + 6 * MINUTE)):
        assert max(len(line) for line in to_text(found).splitlines()) <= 80
        data = json.loads(json.dumps(to_json(found)))
        assert data["rule"] == "slow"
        assert data["summary"] == headline(found)
    data = to_json(ask(world, group="501073"))
    assert [each["change"] for each in data["timeline"]][:2] == ["within the limit", "over the limit"]
    assert data["incident"]["notices"][0]["deliveries"][0]["state"] == "queued"


_NAMES = count()


@pytest.fixture(scope="module")
def records() -> Any:
    """A store for many histories, each of a rule of its own."""
    opened = open_database("sqlite://")
    yield opened
    opened.close()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.tuples(st.sampled_from([3, 4.5, 9, None]), st.integers(1, 4)), min_size=1, max_size=25))
def test_the_time_that_is_told_is_that_of_the_timers(records: Database, story: list[tuple[float | None, int]]) -> None:
    """Whatever happens, and however many checks are missed: records tell what `for` and `keep_firing` have counted."""
    rule = scored(id=f"rule-{next(_NAMES)}", hold=20 * MINUTE, keep_firing=15 * MINUTE)
    alert, at = Alert(rule.id, Group()), START
    for score, steps in story:
        at += steps * rule.every
        move = step(alert, judged(rule, score, at), rule)
        alert = move.after
        with records.write() as transaction:
            ledger.record(transaction, [Record(judged(rule, score, at), alert.state, move.change, None, None)])
    with records.read() as transaction:
        found = ledger.load_decided(transaction, rule.id, [""], None, 100)
    expected: dict[State, Duration] = {State.PENDING: alert.held, State.RECOVERING: alert.cleared}
    if alert.state in expected:
        assert timeline.held(found, rule, alert.state, at) == expected[alert.state]
    assert sum(each.evaluations for each in found) == len(story)


def judged(rule: Rule, score: float | None, at: int) -> Verdict:
    """A verdict on a score; on none an error."""
    verdict = a_verdict(score, at=at, rule=rule.id, evidence=Evidence.OK if score is not None else Evidence.ERROR)
    return replace(verdict, level=Level.WARNING if score and score > 5 else verdict.level)


def change(database: Database, table: sa.Table, **values: Any) -> None:
    """Rows as another part of the program would have left them."""
    with database.write() as transaction:
        transaction.execute(sa.update(table).values(values))


def a_report(rule: str) -> Notice:
    return Notice(
        kind=Kind.REPORT,
        rule=rule,
        title="Report",
        measure="median",
        unit=Unit.NUMBER,
        direction="above",
        level=Level.OK,
        previous=None,
        incident=None,
        at=START,
        opened_at=START,
        resolved_at=None,
        window=HOUR,
        value=3,
        limit=None,
        recover=None,
        peak=None,
        conversations=1,
        reason="",
    )  # fmt: skip - values nobody looks at


def a_delivery(notice: int, receiver: str) -> dict[str, Any]:
    sent = {"notice": notice, "receiver": receiver, "via": receiver, "kind": "report", "key": receiver, "state": "sent"}
    return sent | {"attempts": 1, "queued_at": START, "due_at": START, "sent_at": START, "ambiguous": False}
