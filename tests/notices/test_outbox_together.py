"""What the outbox sends in one message: a crowd as a digest, an old story by its newest, what was gathered after a downtime."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from alertd.channels.base import Access, Message
from alertd.clock import DAY, HOUR, MINUTE, SECOND, Instant
from alertd.errors import DeliveryError
from alertd.facts import Kind, Level
from alertd.notice import Notice
from alertd.notices.claiming import LEASE, OLD
from alertd.notices.incidents import Incident, save_incident
from alertd.notices.outbox import LATE, LONGEST_RETRY, Outbox
from alertd.notices.telling import load_stories, recipients, tell
from alertd.rulebook.rule import Rulebook
from alertd.store.database import Database, open_database
from alertd.store.tables import deliveries
from alertd.testing import FakeChannel, FakeClock, a_notice, a_rulebook

PERMANENT = DeliveryError("channel_not_found", permanent=True)
RETRY = DeliveryError("no connection")
AMBIGUOUS = DeliveryError("no answer", ambiguous=True)


class Crowded(FakeChannel):
    pace = 1 * SECOND
    burst = 3


class Machine(FakeChannel):
    """It wants every notice by itself."""


@dataclass
class Desk:
    """An outbox of some receivers, and notices as they come."""

    database: Database
    channels: Mapping[str, FakeChannel] = field(default_factory=lambda: {"team": Crowded(editable=True)})
    fallback: str | None = None
    clock: FakeClock = field(default_factory=FakeClock)
    digests: list[tuple[list[str], str]] = field(default_factory=list)  # the titles of each, and its reason
    sent_at: list[Instant] = field(default_factory=list)
    going_on: dict[int, tuple[int, str]] = field(default_factory=dict)  # open incidents and their titles, by place

    def __post_init__(self) -> None:
        self.book: Rulebook = a_rulebook(receivers=self.channels, fallback=self.fallback)
        self.restart()

    def restart(self) -> None:
        self.outbox = Outbox(
            self.database, self.clock, lambda: self.book, Access(), self._render, self._digest, random=random.Random(3)
        )

    def _render(self, _kind: str, notice: Notice) -> Mapping[str, str]:
        return {"news": f"{notice.kind} {notice.title}"}

    def _digest(self, _kind: str, told: Sequence[Notice], reason: str) -> Mapping[str, str]:
        lines = [f"{each.kind} {each.title}" for each in told]
        self.digests.append((lines, reason))
        return {"news": "\n".join(lines)}

    def open(self, title: str, level: Level = Level.WARNING, to: Sequence[str] = ("team",)) -> int:
        """A new incident; its number."""
        with self.database.write() as transaction:
            number = save_incident(transaction, Incident(title, self.clock.now(), level, level))
        self.say(number, title, Kind.OPENED, level, to)
        return number

    def say(self, number: int, title: str, kind: Kind, level: Level = Level.WARNING, to: Sequence[str] = ("team",)) -> None:
        """There is something new of an incident."""
        notice = a_notice(rule=title, title=title, kind=kind, level=level, incident=number, at=self.clock.now())
        with self.database.write() as transaction:
            stories = load_stories(transaction, number)
            knowing = {name: story.going_on for name, story in stories.items()}
            who = recipients(kind, to, knowing, self.book.receivers)
            tell(transaction, notice, who, stories, self.clock.now())

    def send(self, seconds: int = 60) -> None:
        """Send what is due, for so long."""
        for _ in range(seconds):
            while self.outbox.step():
                self.sent_at.append(self.clock.now())
            self.clock.advance(SECOND)

    def fail(self, *problems: DeliveryError, receiver: str = "team") -> None:
        self.channels[receiver].taken.failures.extend(problems)

    def got(self, receiver: str = "team") -> list[Message]:
        return [message for message, _ in self.channels[receiver].taken.messages]

    def kinds(self, receiver: str = "team") -> list[str]:
        return [each.kind.value for each in self.got(receiver)]

    def news(self, receiver: str = "team") -> list[str]:
        return [each.parts["news"] for each in self.got(receiver)]

    def column(self, name: str) -> list[object]:
        with self.database.read() as transaction:
            return list(transaction.scalars(sa.select(deliveries.c[name]).order_by(deliveries.c.id)))


def test_a_few_at_once_come_one_by_one_at_the_receivers_pace(database: Database) -> None:
    desk = Desk(database)
    for title in "abc":
        desk.open(title)
    desk.send()
    assert desk.news() == ["opened a", "opened b", "opened c"]
    assert all(after - before >= SECOND for before, after in pairwise(desk.sent_at))


def test_more_than_that_become_one_message(database: Database) -> None:
    desk = Desk(database)
    for title in "abcd":
        desk.open(title)
    desk.send()
    assert desk.kinds() == ["digest"]
    assert desk.digests == [(["opened a", "opened b", "opened c", "opened d"], "")]
    assert set(desk.column("state")) == {"sent"}
    assert set(desk.column("digest")) == {desk.got()[0].key}


def test_a_thousand_at_once_are_a_handful_of_messages(database: Database) -> None:
    desk = Desk(database)
    for number in range(1_000):
        desk.open(f"rule-{number}")
    desk.open("the one more")
    desk.send()
    assert len(desk.got()) == 2
    assert desk.column("state") == ["sent"] * 1_001


def test_a_few_urgent_ones_come_alone_and_first(database: Database) -> None:
    desk = Desk(database)
    for title in "abcdef":
        desk.open(title, Level.CRITICAL if title in "ef" else Level.WARNING)
    desk.send()
    assert desk.kinds() == ["opened", "opened", "digest"]
    assert desk.news()[:2] == ["opened e", "opened f"]


def test_many_urgent_ones_are_a_digest_of_their_own_and_first(database: Database) -> None:
    desk = Desk(database)
    for title in "abcdefgh":
        desk.open(title, Level.CRITICAL if title in "efgh" else Level.WARNING)
    desk.send()
    assert [titles[0] for titles, _ in desk.digests] == ["opened e", "opened a"]


def test_what_is_urgent_hurries_what_it_has_to_wait_for(database: Database) -> None:
    desk = Desk(database)
    first, second = desk.open("a"), desk.open("b")
    desk.say(second, "b", Kind.CHANGED, Level.CRITICAL)
    desk.say(first, "a", Kind.RESOLVED)
    desk.send()
    assert desk.news() == ["opened b", "changed b", "opened a", "resolved a"]


def test_a_receiver_that_wants_each_gets_each(database: Database) -> None:
    desk = Desk(database, {"team": Machine()})
    for number in range(20):
        desk.open(f"rule-{number}")
    desk.send()
    assert desk.kinds() == ["opened"] * 20


def test_reports_are_never_part_of_a_digest(database: Database) -> None:
    desk = Desk(database)
    for title in "abcde":
        with database.write() as transaction:
            notice = a_notice(kind=Kind.REPORT, incident=None, title=title)
            tell(transaction, notice, {"team": Kind.REPORT}, {}, desk.clock.now())
    desk.send()
    assert desk.kinds() == ["report"] * 5


def test_a_digest_that_may_have_arrived_is_repeated_as_it_was(database: Database) -> None:
    desk = Desk(database)
    for title in "abcd":
        desk.open(title)
    desk.fail(AMBIGUOUS)
    desk.outbox.step()
    desk.open("e")
    desk.send()
    assert [each.kind.value for each in desk.got()] == ["digest", "opened", "digest"]
    once, _, again = desk.got()
    assert (once.key, again.key, once.repeat, again.repeat) == (again.key, once.key, False, True)
    assert desk.digests[0] == desk.digests[1]


def test_after_a_kill_the_same_digest_goes_out_again(database: Database) -> None:
    desk = Desk(database)
    for title in "abcd":
        desk.open(title)
    claimed = desk.outbox._claim()
    desk.restart()
    assert desk.outbox.recover() == 4
    desk.send()
    assert claimed is not None
    assert [(each.key, each.repeat) for each in desk.got()] == [(claimed.digest, True)]


def test_what_follows_a_digest_goes_into_its_thread(database: Database) -> None:
    desk = Desk(database)
    numbers = {title: desk.open(title) for title in "abcd"}
    desk.send()
    desk.say(numbers["b"], "b", Kind.RESOLVED)
    desk.send()
    (digest, _), (end, thread) = desk.channels["team"].taken.messages
    assert end.parts["news"] == "resolved b"
    assert thread == {"root": digest.key, "digest": "yes"}


def test_incidents_with_a_message_of_their_own_are_told_in_a_digest_and_then_edited(database: Database) -> None:
    desk = Desk(database)
    numbers = {title: desk.open(title) for title in "abc"}
    desk.send()
    roots = [each.key for each in desk.got()]
    for title, number in numbers.items():
        desk.say(number, title, Kind.RESOLVED)
    desk.open("d")
    desk.send()
    assert desk.kinds() == ["opened"] * 3 + ["digest"] + ["refreshed"] * 3
    assert [thread for _, thread in desk.channels["team"].taken.messages[-3:]] == [{"root": root} for root in roots]
    assert set(desk.column("state")) == {"sent"}


def test_an_edit_that_is_left_over_from_a_digest_holds_up_no_news(database: Database) -> None:
    desk = Desk(database)
    numbers = {title: desk.open(title) for title in "abcd"[:3]}
    desk.send()
    for title, number in numbers.items():
        desk.say(number, title, Kind.CHANGED)
    desk.open("d")
    desk.outbox.step()  # the digest
    desk.say(numbers["b"], "b", Kind.RESOLVED)
    desk.send()
    assert desk.kinds()[3:] == ["digest", "resolved", "refreshed", "refreshed"]  # the news of b edits its message, too


def test_an_edit_that_is_left_over_never_dies_and_goes_to_nobody_else(database: Database) -> None:
    desk = Desk(database, {"team": Crowded(editable=True), "spare": Crowded()}, fallback="spare")
    numbers = {title: desk.open(title) for title in "abc"}
    desk.send()
    for title, number in numbers.items():
        desk.say(number, title, Kind.CHANGED)
    desk.open("d")
    desk.outbox.step()
    desk.fail(PERMANENT, PERMANENT, PERMANENT)
    desk.send()
    assert set(desk.column("state")) == {"sent"}
    assert desk.got("spare") == []


def test_a_dead_digest_goes_to_the_fallback_as_one(database: Database) -> None:
    desk = Desk(database, {"team": Crowded(), "spare": Crowded()}, fallback="spare")
    for title in "abcd":
        desk.open(title)
    desk.fail(PERMANENT)
    desk.send()
    assert desk.kinds("spare") == ["digest"]
    assert set(desk.column("via")) == {"spare"}


def test_a_dead_digest_without_a_fallback_is_dead_with_all_that_follows(database: Database) -> None:
    desk = Desk(database)
    numbers = {title: desk.open(title) for title in "abcd"}
    desk.say(numbers["a"], "a", Kind.RESOLVED)
    desk.fail(PERMANENT)
    desk.send()
    assert set(desk.column("state")) == {"dead"}


def test_of_a_story_that_has_waited_long_only_the_newest_is_told(database: Database) -> None:
    desk = Desk(database)
    number = desk.open("a")
    desk.say(number, "a", Kind.CHANGED)
    desk.say(number, "a", Kind.RESOLVED)
    desk.clock.advance(OLD)
    desk.send()
    assert desk.news() == ["resolved a"]
    assert desk.column("state") == ["sent"] * 3
    assert desk.column("digest") == [desk.got()[0].key] * 2 + [None]


def test_whoever_has_heard_nothing_yet_hears_a_late_change_as_the_opening(database: Database) -> None:
    desk = Desk(database)
    number = desk.open("a")
    desk.say(number, "a", Kind.CHANGED, Level.CRITICAL)
    desk.clock.advance(OLD)
    desk.send()
    assert [(each.kind, each.level) for each in desk.got()] == [(Kind.OPENED, Level.CRITICAL)]


def test_a_story_that_has_not_waited_long_is_told_as_it_happened(database: Database) -> None:
    desk = Desk(database)
    number = desk.open("a")
    desk.clock.advance(OLD - 1)
    desk.say(number, "a", Kind.CHANGED)
    desk.say(number, "a", Kind.RESOLVED)
    desk.send()
    assert desk.news() == ["opened a", "changed a", "resolved a"]


def test_silent_edits_that_news_would_repeat_are_left_out(database: Database) -> None:
    desk = Desk(database)
    number = desk.open("a")
    desk.send()
    for kind in (Kind.REFRESHED, Kind.REFRESHED, Kind.CHANGED, Kind.REFRESHED, Kind.REFRESHED):
        desk.say(number, "a", kind)
    desk.send()
    assert desk.kinds() == ["opened", "changed", "refreshed"]


def test_a_message_that_comes_late_says_for_how_long_it_waited(database: Database) -> None:
    desk = Desk(database)
    desk.open("a")
    desk.send()
    desk.open("b")
    desk.clock.advance(LATE + MINUTE)
    desk.send()
    assert [each.notice.late for each in desk.got()] == [0, LATE + MINUTE]


def test_when_a_receiver_works_again_nobody_waits_out_a_back_off(database: Database) -> None:
    desk = Desk(database)
    desk.open("a", Level.CRITICAL)
    desk.open("b")
    desk.open("c")
    desk.fail(*[RETRY] * 24)
    desk.send(9 * 60)
    assert len(desk.got()) == 0
    desk.channels["team"].taken.failures.clear()
    desk.send(LONGEST_RETRY // SECOND)
    times = desk.sent_at[-3:]
    assert desk.news()[0] in ("opened a", "opened b", "opened c")
    assert times[-1] - times[0] <= 3 * SECOND


def test_after_a_downtime_what_can_wait_is_gathered_into_one_message_that_says_why(database: Database) -> None:
    desk = Desk(database)
    desk.outbox.gather(MINUTE, "alertd was not running for 3 h")
    desk.open("a")
    desk.open("urgent", Level.CRITICAL)
    desk.send(30)
    assert desk.news() == ["opened urgent"]
    desk.open("b")
    desk.outbox.release()
    desk.send(30)
    assert desk.digests == [(["opened a", "opened b"], "alertd was not running for 3 h")]
    desk.open("c")
    desk.open("d")
    desk.send(30)
    assert desk.kinds() == ["opened", "digest", "opened", "opened"]


def test_gathering_ends_by_itself(database: Database) -> None:
    desk = Desk(database)
    desk.outbox.gather(MINUTE, "")
    desk.open("a")
    desk.send(59)
    assert desk.got() == []
    desk.send(3)
    assert desk.news() == ["opened a"]


# What whoever gets the messages sees of one incident: an opening or at once its end, never only a change (I4).
SEEN = re.compile(r"((o(c)*)?r)*(o(c)*)?")
moves = st.one_of(
    st.tuples(st.just("open"), st.integers(0, 5), st.booleans()),
    st.tuples(st.just("more"), st.integers(0, 5), st.booleans()),
    st.tuples(st.just("end"), st.integers(0, 5), st.just(False)),
    st.tuples(st.sampled_from(["send", "kill", "wait", "break"]), st.integers(0, 3), st.booleans()),
)


def play(desk: Desk, what: str, place: int, *, flag: bool) -> None:
    """One thing that happens: to the incident at that place, or to the outbox that often."""
    level = Level.CRITICAL if flag else Level.WARNING
    if what == "open" and place not in desk.going_on:
        title = f"title-{len(desk.column('id'))}"
        desk.going_on[place] = desk.open(title, level), title
    elif what == "more" and place in desk.going_on:
        desk.say(*desk.going_on[place], Kind.CHANGED, level)
    elif what == "end" and place in desk.going_on:
        desk.say(*desk.going_on.pop(place), Kind.RESOLVED)
    elif what == "break":
        desk.channels["team"].taken.failures[:] = [(PERMANENT if flag else AMBIGUOUS)] * place
    else:
        work(desk, what, place)


def work(desk: Desk, what: str, times: int) -> None:
    if what == "send":
        desk.send(times)
    elif what == "wait":
        desk.clock.advance((OLD // 2) * times)
    elif what == "kill":
        desk.outbox._claim()
        desk.restart()
        desk.outbox.recover()


def heard(desk: Desk, receiver: str) -> Mapping[str, str]:
    """What a receiver was told of each incident, a letter a message; a repeat is not told again."""
    found, known = defaultdict[str, str](str), set[str]()
    for message in desk.got(receiver):
        if message.key not in known and message.kind is not Kind.REFRESHED:
            for line in message.parts["news"].splitlines():
                found[line.split()[1]] += line[0]
        known.add(message.key)
    return found


@given(steps=st.lists(moves, max_size=40), fallback=st.booleans())
@settings(max_examples=60, deadline=None)
def test_whatever_comes_together_each_receiver_hears_each_story_to_its_end(
    steps: list[tuple[str, int, bool]], fallback: bool
) -> None:
    database = open_database("sqlite://")
    desk = Desk(database, {"team": Crowded(editable=True), "spare": Crowded()}, "spare" if fallback else None)
    for what, place, flag in steps:
        play(desk, what, place, flag=flag)
    desk.channels["team"].taken.failures.clear()
    for _ in range(4):
        desk.clock.advance(max(LEASE, LONGEST_RETRY, HOUR))
        desk.send(10)
    assert set(desk.column("state")) <= ({"sent"} if fallback else {"sent", "dead"})
    taken = {message.key for name in desk.channels for message in desk.got(name)}
    with database.read() as transaction:
        rows = transaction.execute(sa.select(deliveries)).all()
    assert all((row.digest or row.key) in taken for row in rows if row.state == "sent")
    for receiver in desk.channels:
        for story in heard(desk, receiver).values():
            assert SEEN.fullmatch(story), (receiver, story)
    database.close()


def test_a_story_stays_whole_when_its_receiver_is_given_up(database: Database) -> None:
    """The opening has been tried for half an hour, the change has only just come."""
    desk = Desk(database, {"team": Crowded(), "spare": Crowded()}, fallback="spare")
    number = desk.open("a")
    desk.fail(*[RETRY] * 99)
    desk.send(29 * 60)
    desk.say(number, "a", Kind.CHANGED)
    desk.send(10 * 60)
    desk.channels["team"].taken.failures.clear()
    desk.say(number, "a", Kind.RESOLVED)
    desk.send()
    assert desk.news("spare") == ["opened a", "changed a", "resolved a"]
    assert desk.got() == []


def test_without_a_fallback_a_story_dies_as_a_whole(database: Database) -> None:
    desk = Desk(database)
    number = desk.open("a")
    desk.fail(*[RETRY] * 9_999)
    desk.clock.advance(DAY - MINUTE)
    desk.send(30)
    desk.say(number, "a", Kind.CHANGED)
    desk.send(3_600)
    assert desk.column("state") == ["dead", "dead"]


def test_whoever_is_only_told_that_nobody_has_it_hears_a_late_change_as_that(database: Database) -> None:
    desk = Desk(database, {"team": Crowded(), "boss": Crowded()})
    number = desk.open("a")
    desk.send()
    with database.write() as transaction:
        notice = a_notice(rule="a", title="a", kind=Kind.ESCALATED, incident=number)
        tell(transaction, notice, {"boss": Kind.ESCALATED}, load_stories(transaction, number), desk.clock.now())
    desk.say(number, "a", Kind.CHANGED)
    desk.clock.advance(OLD)
    desk.send()
    assert desk.kinds("boss") == ["escalated"]


def test_what_may_have_arrived_is_repeated_as_it_was_before_anything_else_is_told_of_it(database: Database) -> None:
    desk = Desk(database)
    number = desk.open("a")
    desk.fail(AMBIGUOUS)
    desk.outbox.step()
    desk.say(number, "a", Kind.RESOLVED)
    for title in "bcde":
        desk.open(title)
    desk.clock.advance(OLD)
    desk.send()
    first, *_ = desk.got()
    again = next(each for each in desk.got()[1:] if each.key == first.key)
    assert (first.kind, again.kind, again.repeat) == (Kind.OPENED, Kind.OPENED, True)
    assert desk.news()[-1] == "resolved a"


def test_what_an_attempt_had_done_is_told_to_a_repeat_of_it_only(database: Database) -> None:
    desk = Desk(database)
    desk.open("a")
    desk.fail(DeliveryError("one of them was put off", receipt={"taken": "some"}))
    desk.outbox.step()
    for title in "bcde":
        desk.open(title)
    desk.send()
    before = {each.parts["news"]: each.before for each in desk.got()}
    assert before["opened a"] == {"taken": "some", "key": desk.got()[-1].key}
    assert [each.before for each in desk.got() if each.kind is Kind.DIGEST] == [None]


def test_a_digest_comes_apart_when_its_receiver_now_wants_each(database: Database) -> None:
    desk = Desk(database)
    for title in "abcd":
        desk.open(title)
    desk.fail(RETRY)
    desk.outbox.step()
    desk.channels = {"team": Machine()}
    desk.book = a_rulebook(receivers=desk.channels)
    desk.send()
    assert desk.news() == ["opened a", "opened b", "opened c", "opened d"]
    assert set(desk.column("digest")) == {None}


def test_a_clock_set_back_does_not_prolong_a_gathering(database: Database) -> None:
    desk = Desk(database)
    desk.outbox.gather(MINUTE, "")
    desk.clock.set_wall(desk.clock.now() - DAY)
    desk.open("a")
    desk.send(62)
    assert desk.news() == ["opened a"]


def test_no_lease_from_before_a_clock_was_set_back_holds(database: Database) -> None:
    desk = Desk(database)
    desk.open("a")
    desk.outbox._claim()
    desk.clock.set_wall(desk.clock.now() - DAY)
    desk.clock.advance(LEASE)  # in this process it is held for so long
    desk.send()
    assert [each.repeat for each in desk.got()] == [True]


def test_whoever_the_fallback_stood_in_for_hears_first_that_it_has_begun(database: Database) -> None:
    """The fallback is now told for itself, so the receiver is tried again."""
    desk = Desk(database, {"team": Crowded(), "spare": Crowded()}, fallback="spare")
    number = desk.open("a")
    desk.fail(PERMANENT)
    desk.send()
    desk.say(number, "a", Kind.CHANGED, Level.CRITICAL, to=("team", "spare"))
    desk.send()
    desk.say(number, "a", Kind.RESOLVED)
    desk.send()
    assert desk.news() == ["opened a", "resolved a"]
    assert desk.news("spare")[-1] == "resolved a"
