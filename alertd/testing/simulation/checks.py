"""The invariants that can be seen from outside, each a small pure function that says what is wrong; nothing where all is well.

They are named by their number in the design: I1 budget, I2 fusion, I3 evidence, I4 one story, I5 nothing lost, I6 timers,
I7 one bad rule, I8 rulebook, I10 time.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import pairwise

from alertd.clock import MINUTE, SECOND, Duration
from alertd.facts import Kind, Level, State
from alertd.planning.needs import needs_of
from alertd.reporting.budget import TRAVEL
from alertd.reporting.query import Filter, Operation, Query
from alertd.rulebook.rule import Rule
from alertd.sandbox.answer import answer_table
from alertd.testing.simulation.looking import Look, Row
from alertd.testing.simulation.peers import PATIENCE, Call, Heard
from alertd.testing.simulation.traffic import Shown

_LETTERS = {"opened": "o", "escalated": "e", "changed": "c", "reminder": "m", "resolved": "r"}
_STORY = re.compile(r"([oe][cme]*r)*([oe][cme]*)?")
_STORY_WITHOUT_END = re.compile(r"([oe][cmeo]*)?")  # a new episode begins without the end of the old one

SPOKEN = ("opened", "changed", "reminder", "escalated")


def i1_arrivals(calls: Sequence[Call], limit: int) -> str | None:
    """Never more than the limit within a minute, where the API counts."""
    arrived = sorted(call.arrived for call in calls)
    for first, last in zip(arrived, arrived[limit:], strict=False):
        if last - first < MINUTE:
            return f"{limit + 1} calls arrived within {(last - first) / SECOND:g} s, and {limit} may"
    return None


def i1_slots(in_use: int, calls: Iterable[Call], now: Duration) -> str | None:
    """Slots come back: those in use are of calls that were under way within the last minute, or of killed ones."""
    held = sum(now <= _held_until(call) for call in calls)
    return f"{in_use} slots are in use, and {held} calls can hold one" if in_use > held else None


def _held_until(call: Call) -> Duration:
    if call.ended is None:
        return call.begun + 2 * PATIENCE + TRAVEL + MINUTE
    return call.ended + MINUTE + (0 if call.answered else TRAVEL)


def i2_own_query(rule: Rule, as_of: int, counted: Mapping[str, int], shown: Shown) -> str | None:
    """A rule is judged on the conversations that its own query would have brought."""
    need = needs_of(rule, as_of).selection
    bounds = (
        Filter(rule.timestamp, Operation.GTE, (need.window.start,)),
        Filter(rule.timestamp, Operation.LT, (need.window.end,)),
    )
    table = answer_table(shown, Query((*rule.filters, *bounds), (rule.by,) if rule.by else ()))
    own = Counter({"": len(table)}) if rule.by is None else Counter(f"{rule.by}={each:.0f}" for each in table.columns[rule.by])
    wrong = {key: (own[key], counted.get(key, 0)) for key in own | Counter(counted) if own[key] != counted.get(key, 0)}
    return f"{rule.id} was judged on other conversations than it asks for (own, judged): {wrong}" if wrong else None


def i3_unmoved(rule: str, before: object, after: object) -> str | None:
    """Without evidence nothing moves."""
    return f"{rule} had no evidence, and something moved: {before} became {after}" if before != after else None


def i4_story(story: Sequence[Row], *, ends: bool) -> str | None:
    """One story per incident and receiver, among what is not dead, and among what was sent."""
    for states in (("queued", "sending", "sent"), ("sent",)):
        told = "".join(_LETTERS.get(row["kind"], "") for row in story if row["state"] in states)
        if not (_STORY if ends else _STORY_WITHOUT_END).fullmatch(told):
            return f"{story[0]['receiver']} is told {told!r} of incident {story[0]['incident']}"
    return None


def i4_end(story: Sequence[Row]) -> str | None:
    """Whoever was told of the opening is told of the end."""
    spoken = [row for row in story if row["kind"] in _LETTERS]
    if not spoken or any(row["state"] == "dead" for row in story) or spoken[-1]["kind"] == "resolved":
        return None
    return f"incident {spoken[-1]['incident']} is over and {spoken[-1]['receiver']} is not told"


def i4_number(before: Row | None, after: Row, reopen_within: Duration) -> str | None:
    """A number belongs to one incident; only what is over for a short while may go on with it."""
    if before is None:
        return None
    if before["rule"] != after["rule"] or before["closed_at"] is None:
        return f"incident {after['id']} of {before['rule']} is now one of {after['rule']}"
    if after["opened_at"] - before["closed_at"] > reopen_within:
        return (
            f"incident {after['id']} was over for {(after['opened_at'] - before['closed_at']) / MINUTE:g} min, and begins again"
        )
    return None


def i4_acknowledged(incident: Row, by: str, notices: Iterable[Row]) -> str | None:
    """Whoever has it keeps it, and nobody is reminded."""
    if incident["acknowledged_by"] != by:
        return f"incident {incident['id']} was acknowledged by {by}, now by {incident['acknowledged_by']}"
    nags = [row["kind"] for row in notices if row["incident"] == incident["id"] and row["kind"] in ("reminder", "escalated")]
    return f"{nags} of incident {incident['id']}, which {by} has acknowledged" if nags else None


def i4_silent(rule: str, fresh: Iterable[Row]) -> str | None:
    """Nobody is told of what is silenced, but of its end."""
    told = [row["kind"] for row in fresh if row["kind"] in SPOKEN]
    return f"{rule} is silenced, and {told} is told" if told else None


def i4_told(story: Sequence[Row], rule: str, receiver: str) -> str | None:
    """An incident that goes on unsilenced is told, to everybody whom it concerns."""
    spoken = [row["kind"] for row in story if row["kind"] in _LETTERS and row["state"] != "dead"]
    if any(row["state"] == "dead" for row in story) or (spoken and spoken[-1] != "resolved"):
        return None
    return f"{rule} fires, and {receiver} has heard {spoken} of it"


def i4_order(last: int, place: int, heard: Heard) -> str | None:
    """Of one story nothing overtakes what came before it."""
    return f"{heard.via} hears delivery {place} after delivery {last}" if place < last else None


def i4_thread(before: Sequence[Heard], heard: Heard) -> str | None:
    """What follows goes into the thread of its incident."""
    roots = {each.key for each in before} | {each.thread["root"] for each in before if each.thread}
    root = heard.thread["root"] if heard.thread else None
    sure = any(each.sure for each in before)
    wrong = root not in roots if root else sure
    return f"{heard.via} hears {heard.kind} in the thread {root}" if wrong else None


def i5_sent(row: Row, told: Mapping[tuple[str, str, int | None], str], newest: str) -> str | None:
    """What counts as sent was taken by its receiver, by itself or in a message that tells `newest` of its story."""
    if row["state"] != "sent" and row["told_at"] is None:
        return None
    kinds = [told.get((row["via"], key, row["incident"])) for key in (row["key"], row["digest"]) if key]
    if not any(kinds):
        return f"delivery {row['id']} to {row['via']} counts as sent, and was not taken"
    as_news = newest in (Kind.CHANGED, Kind.REMINDER) and any(each in (Kind.OPENED, Kind.ESCALATED) for each in kinds)
    if newest in kinds or as_news or newest == Kind.REFRESHED:
        return None
    return f"delivery {row['id']} to {row['via']} counts as sent with {newest}, and {kinds} was taken"


def i5_repeat(heard: Heard, *, before: int, excused: bool) -> str | None:
    """A repeat comes only where a kill or a lost answer was, and says that it may be one."""
    if before and not excused:
        return f"{heard.via} hears the message {heard.kind} again, which it had confirmed"
    if before and not heard.repeat:
        return f"{heard.via} hears the message {heard.kind} again, and is not told that it is a repeat"
    return None


def i5_known(heard: Heard, known: Collection[str]) -> str | None:
    """A message has the key of its delivery."""
    return None if heard.key in known else f"{heard.via} hears {heard.kind} with a key that no delivery has"


def i5_dead(row: Row, permanent: int, least: int, story: Iterable[Row]) -> str | None:
    """A delivery is given up only after enough attempts, a final refusal, with the opening that it follows, or as an edit of
    what is told elsewhere from now on."""
    excused = permanent or row["attempts"] >= least or "it follows" in str(row["error"])
    excused = excused or (row["kind"] == "refreshed" and any(each["via"] != each["receiver"] for each in story))
    return None if row["state"] != "dead" or excused else f"delivery {row['id']} is dead after {row['attempts']} attempts"


def i5_whole(look: Look, names: Iterable[str]) -> str | None:
    """Alerts and incidents are written together: an incident is open while something fires, and only then."""
    for rule in names:
        fires, is_open = bool(look.firing(rule)), look.open(rule) is not None
        if fires is not is_open:
            return f"{rule} {'fires' if fires else 'does not fire'}, and its incident is {'open' if is_open else 'over'}"
    return None


def i5_unsent(rows: Iterable[Row]) -> str | None:
    """In the end everything is sent or dead."""
    left = [(row["id"], row["via"], row["state"]) for row in rows if row["state"] not in ("sent", "dead")]
    return f"neither sent nor dead: {left}" if left else None


def i6_held(rule: Rule, key: str, before: Row | None, after: Row | None, held: Duration) -> str | None:
    """It fires once it is known to have been over the limit for `for`, and not before."""
    fired = before is not None and before["state"] in (State.FIRING, State.RECOVERING)
    if after is None or fired:
        return None
    if after["state"] == State.FIRING and held < rule.hold:
        return f"{rule.id} {key} fires after {held / MINUTE:g} min that are known, and `for` is {rule.hold / MINUTE:g} min"
    if after["state"] == State.PENDING and held >= rule.hold:
        return f"{rule.id} {key} waits, and has been over the limit for {held / MINUTE:g} min"
    return None


def i7_settled(due: Iterable[str], settled: Collection[str]) -> str | None:
    """Every rule that was due is settled."""
    missing = sorted(set(due) - set(settled))
    return f"not settled: {missing}" if missing else None


def i7_answered(rule: str, evidence: str, *, refused: bool, scarce: bool) -> str | None:
    """A rule has evidence unless the API failed; what is wrong with another rule is no reason."""
    wrong = (evidence == "error" and not refused) or (evidence == "stale" and not scarce)
    return f"{rule} has no evidence ({evidence}), and the API answered" if wrong else None


def i8_quiet(before: Mapping[str, object], after: Mapping[str, object]) -> str | None:
    """A reload moves nothing of the rules that stay."""
    moved = [name for name in before if before[name] != after[name]]
    return f"a reload moved {moved}" if moved else None


def i8_good(running: Mapping[str, Rule], good: Sequence[Mapping[str, str | None]]) -> str | None:
    """A new process runs what the files say, or the last good ones, given by id with their titles if they have one."""
    if any(running.keys() == each.keys() and all(t in (None, running[n].title) for n, t in each.items()) for each in good):
        return None
    return f"after a start {sorted(running)} run, and the files have {[sorted(each) for each in good]}"


def i8_settled(running: AbstractSet[str], may: Sequence[AbstractSet[str]], *, wrong: bool, told: bool) -> str | None:
    """Good files run once they have settled, wrong ones change nothing; whoever was told that they are wrong hears the end."""
    if running not in may:
        return f"{sorted(running)} run, and the files say {[sorted(each) for each in may]}"
    if wrong != told:
        return "nobody is told that the rule files are wrong" if wrong else "the rule files are fine, and people hear otherwise"
    return None


def i10_once(rule: str, at: int, runs: int, set_back: int) -> str | None:
    """A due instant is run once; once more for each time that the clock was set back."""
    return f"{rule} was run {runs} times for {at}" if runs > 1 + set_back else None


def i10_runs_on(rule: Rule, ran: int | None, known_since: int, now: int) -> str | None:
    """Whatever the clock did, the newest instant was run."""
    newest = rule.schedule.newest(now)
    if newest is None or (ran is not None and newest <= ran <= now) or (ran is None and newest <= known_since <= now):
        return None
    return f"{rule.id} was not run at {newest}, last at {ran}"


def i10_missed(rule: Rule, before: Row | None, at: int, now: int, missed: int) -> str | None:
    """Several missed instants become one run, and are counted."""
    last = before["due_at"] if before else None
    expected = (at - last) // rule.every - 1 if last is not None and last <= now else 0
    return f"{rule.id} at {at} counts {missed} missed, and there were {expected}" if missed != expected else None


def i11_said(heard: Heard) -> str | None:
    """A message says what it is about, whatever its template is like."""
    return None if heard.said else f"{heard.via} hears nothing of what {heard.kind.value} {heard.told} is about"


def pace(begun: Sequence[Duration], least: Duration) -> str | None:
    """Messages to a receiver keep their distance."""
    close = [later - earlier for earlier, later in pairwise(begun) if later - earlier < least]
    return f"two messages within {close[0]} ms, at least {least} were asked for" if close else None


def worse(level: str, than: str) -> bool:
    """Whether one level is worse than another."""
    return Level(level).rank > Level(than).rank


def told_kinds(heard: Iterable[Heard]) -> Iterator[tuple[tuple[str, str, int | None], str]]:
    """What messages told of incidents."""
    for each in heard:
        for incident, kind in each.told:
            yield (each.via, each.key, incident), kind
