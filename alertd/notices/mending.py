"""What people do about deliveries that reached nobody: try them again, or give them up. Either keeps stories whole (I4)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from alertd.clock import Instant, iso
from alertd.facts import Kind
from alertd.notices.letters import GIVEN_UP, Letter, lost_of_open_incidents, stories
from alertd.store.tables import deliveries

_BEGINNINGS = (Kind.OPENED, Kind.ESCALATED)


@dataclass(frozen=True)
class Change:
    """What becomes of one delivery. `along`: nobody named it, it goes with another of its story."""

    letter: Letter
    kind: Kind
    via: str
    along: bool = False


@dataclass(frozen=True)
class Plan:
    """What is to be done, and why the rest of what was named is left as it is."""

    changes: tuple[Change, ...] = ()
    left: tuple[tuple[Letter, str], ...] = ()


def retry(transaction: sa.Connection, named: Collection[Letter], now: Instant) -> Plan:
    """Let these be tried now, as if for the first time, through the receiver that is to hear them."""
    plan = _planned(transaction, named, lambda story, numbers: plan_retry(story, numbers, now))
    for each in plan.changes:
        letter, values = each.letter, dict[str, object](state="queued", due_at=now, attempts=0)
        if letter.told_at is None:
            values |= {"kind": each.kind.value, "via": each.via}
            # What was tried together may have arrived, so it stays together; unless it goes somewhere else now.
            values |= {"digest": None} if letter.state == "dead" or each.via != letter.via else {}
            values |= {"receipt": None, "ambiguous": False} if each.via != letter.via else {}
        _write(transaction, letter, values)
    return plan


def revive(transaction: sa.Connection, now: Instant) -> int:
    """Try again what reached nobody although its incident goes on, as far as it is still of use; how many there were."""
    return len(retry(transaction, lost_of_open_incidents(transaction), now).changes)


def drop(transaction: sa.Connection, named: Collection[Letter], who: str, comment: str = "") -> Plan:
    """Give these up: they stay dead, and are no trouble any more. What was told in a digest counts as sent as it is."""
    plan = _planned(transaction, named, plan_drop)
    for each in plan.changes:
        dead = {"state": "dead", "digest": None, "error": _obituary(each, who, comment)}
        _write(transaction, each.letter, dead if each.letter.told_at is None else {"state": "sent"})
    return plan


def plan_retry(story: Sequence[Letter], named: Collection[int], now: Instant) -> Plan:
    """Which of a story are tried again: with a dead one all that its reader has not heard, with a queued one the whole queue.

    A beginning is told only if its incident still goes on or its end is told as well, and an end only to whoever heard of the
    beginning. What was overtaken by later news stays dead.
    """
    untold, reason = _untold(story, named)
    again, left = set[int](), list[tuple[Letter, str]]()
    queue = [each for each in story if each.state == "queued"]
    for each in (each for each in story if each.id in named):
        if each in untold:
            again |= {one.id for one in untold}
        elif each.state == "queued" and any(one.attempts or one.due_at > now for one in queue):
            again |= {one.id for one in queue}
        elif each.kind is Kind.REFRESHED and each.state == "dead" and each is story[-1] and _heard(story):
            again.add(each.id)
        else:
            left.append((each, _why_left(each, story, reason)))
    ways = _ways(story, again)
    return Plan(tuple(Change(each, *ways[each.id], each.id not in named) for each in story if each.id in again), tuple(left))


def plan_drop(story: Sequence[Letter], named: Collection[int]) -> Plan:
    """Which of a story are given up: with a beginning that nobody hears goes what follows it, up to the next beginning."""
    changes, left = list[Change](), list[tuple[Letter, str]]()
    heard = going = False  # whether its reader hears of the incident; whether the beginning of what comes now is given up
    for each in story:
        going = going and each.kind not in _BEGINNINGS
        unsent = each.state == "queued" or (each.state == "dead" and not each.given_up)
        dropped = unsent and (going or each.id in named)
        if dropped:
            changes.append(Change(each, each.kind, each.via, each.id not in named))
            going = going or not (heard or each.kind is Kind.REFRESHED or each.told_at is not None)
        elif each.id in named:
            left.append((each, _why_kept(each)))
        if each.told_at is not None or (each.state != "dead" and not dropped):
            heard = heard if each.kind is Kind.REFRESHED else each.kind is not Kind.RESOLVED
    return Plan(tuple(changes), tuple(left))


def _untold(story: Sequence[Letter], named: Collection[int]) -> tuple[Sequence[Letter], str]:
    """What has died of a story since its reader was told anything of it, as far as it can be told; or why it cannot."""
    revoked = any(each.given_up and each.id in named for each in story)  # somebody wants to have it told after all
    news = [each for each in story if each.kind is not Kind.REFRESHED and (revoked or not each.given_up)]
    told = [place for place, each in enumerate(news) if each.state != "dead"]
    rest = news[told[-1] + 1 :] if told else news
    knows = bool(told) and news[told[-1]].kind is not Kind.RESOLVED
    if not knows:  # episodes that began and ended unheard are not news any more
        ends = [place for place, each in enumerate(rest[:-1]) if each.kind is Kind.RESOLVED]
        rest = rest[ends[-1] + 1 :] if ends else rest
    if not rest:
        return (), ""
    over, ended = rest[-1].over_at, rest[-1].kind is Kind.RESOLVED
    if over is not None and not ended:
        return (), f"its incident is over since {iso(over)}, and no message of the end would follow"
    if ended and not knows and len(rest) == 1:
        return (), "it is an end, and its reader was not told of the beginning"
    return _from_newest_beginning(rest), ""


def _from_newest_beginning(rest: Sequence[Letter]) -> Sequence[Letter]:
    """Without what comes before a beginning that tells the same and more: while none arrives, all news are beginnings."""
    found, begun = list[Letter](), False
    for each in reversed(rest):
        begun = begun and each.kind is not Kind.RESOLVED
        if not begun:
            found.append(each)
        begun = begun or each.kind is Kind.OPENED
    return found[::-1]


def _why_left(letter: Letter, story: Sequence[Letter], reason: str) -> str:
    if letter.state != "dead":
        return _why_kept(letter) if letter.state != "queued" else "it is to be sent already, and waits only for its turn"
    if letter.kind is Kind.REFRESHED:
        return "it would only have changed an earlier message"
    news = [each for each in story if each.id > letter.id and each.kind is not Kind.REFRESHED]
    later = next((each for each in reversed(news) if each.state != "dead"), None)
    if later is not None:
        told = "was told" if later.state == "sent" else "is to be told"
        return f"its reader {told} later news of that incident ({later.id})"
    ended = any(each.kind is Kind.RESOLVED for each in (letter, *news))
    return reason or ("it is of an episode that is over" if ended else "later news of that incident take its place")


def _why_kept(letter: Letter) -> str:
    if letter.state == "sending":
        return "it is being sent at this moment; look again in a minute"
    if letter.state == "dead":
        return "it was given up already"
    return f"it was sent at {iso(letter.sent_at)}" if letter.sent_at is not None else "it was sent"


def _ways(story: Sequence[Letter], again: Collection[int]) -> Mapping[int, tuple[Kind, str]]:
    """As what and where each of these is told: where its reader heard of the incident, or begins to hear of it.

    Whoever has not heard of it hears of an opening first, whatever it was to others.
    """
    found: dict[int, tuple[Kind, str]] = {}
    where: str | None = None  # None: its reader knows of nothing that goes on
    for each in story:
        kind, via = each.kind, each.via
        if each.id in again and each.told_at is None and kind is not Kind.REFRESHED:
            kind = Kind.OPENED if where is None and kind in (Kind.CHANGED, Kind.REMINDER) else kind
            via = each.receiver if where is None or kind is Kind.OPENED else where
        if each.id in again:
            found[each.id] = (kind, via)
        elif each.state == "dead":
            continue
        if kind is not Kind.REFRESHED:
            where = None if kind is Kind.RESOLVED else via
    return found


def _heard(story: Sequence[Letter]) -> bool:
    return any(each.state != "dead" for each in story)


def _obituary(change: Change, who: str, comment: str) -> str:
    said = f": {comment}" if comment else ""
    follows = " with the message that it follows" if change.along else ""
    before = f" (it had failed: {change.letter.error})" if change.letter.error else ""
    return f"{GIVEN_UP}{who}{follows}{said}{before}"


def _planned(
    transaction: sa.Connection, named: Collection[Letter], plan: Callable[[Sequence[Letter], Collection[int]], Plan]
) -> Plan:
    numbers = {each.id for each in named}
    plans = [plan(story, numbers) for story in stories(transaction, named)]
    changes = sorted((change for each in plans for change in each.changes), key=lambda each: each.letter.id)
    left = sorted((one for each in plans for one in each.left), key=lambda each: each[0].id)
    return Plan(tuple(changes), tuple(left))


def _write(transaction: sa.Connection, letter: Letter, values: Mapping[str, object]) -> None:
    same = (deliveries.c.id == letter.id) & (deliveries.c.state == letter.state)
    transaction.execute(sa.update(deliveries).where(same).values(**values))
