"""The reporting API and the receivers: they work, are slow, refuse, break off, or take what they never confirm."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from pydantic import PrivateAttr

from alertd.channels.base import Access, Channel, Message, Receipt
from alertd.clock import MINUTE, SECOND, Duration
from alertd.errors import BadQuery, DeliveryError, TimedOut, TooManyRequests, Unauthorised, Unreachable
from alertd.facts import Kind
from alertd.reporting.budget import TRAVEL
from alertd.reporting.decode import decode
from alertd.reporting.query import Query
from alertd.reporting.table import Table
from alertd.sandbox.answer import answer, answer_table
from alertd.testing.simulation.nature import VirtualClock
from alertd.testing.simulation.traffic import Traffic
from alertd.testing.simulation.violation import Killed
from alertd.testing.simulation.writing import TOLD

# How long a call may take, as the daemon has it.
PATIENCE: Duration = 13 * SECOND

# A metric that the API refuses while it is poisoned.
POISON = "timeToCloseMillis"

API_WEATHERS = ("time-outs", "429", "500", "cut", "401", "mixed")
RECEIVER_WEATHERS = ("slow", "busy", "refuses", "loses answers", "gone", "mixed")


@dataclass
class Call:
    """One call on the clock that nobody sets. Without an end its sender was killed."""

    begun: Duration
    arrived: Duration
    ended: Duration | None = None
    answered: bool = False
    outcome: str = "killed"


class FaultyApi:
    """Answers from the traffic of this moment, or fails as its weather is. `kill_in`: the call in which the process ends."""

    def __init__(self, clock: VirtualClock, traffic: Traffic, luck: random.Random) -> None:
        self._clock, self._traffic, self._luck = clock, traffic, luck
        self.weather, self.poisoned, self.kill_in = "fine", False, 0
        self.calls: list[Call] = []
        self.faults: Counter[str] = Counter()

    def ask(self, query: Query) -> Table:
        """One call."""
        begun, outcome = self._clock.elapsed, self._outcome(query)
        travel = self._luck.randint(50, 400) if self._luck.random() > 0.08 else self._luck.randint(1, 9) * SECOND
        call = Call(begun, begun + travel)
        self.calls.append(call)
        self.kill_in -= 1
        if self.kill_in == 0:
            call.arrived = begun + self._luck.randint(0, TRAVEL)
            raise Killed
        if outcome != "ok":
            self.faults[outcome] += 1
        if outcome == "time-outs":
            call.arrived = begun + PATIENCE + self._luck.randint(-PATIENCE, TRAVEL)
            travel = PATIENCE
        self._clock.advance(travel)
        self._traffic.reach(self._clock.truth)
        try:
            return self._answered(query, outcome)
        finally:
            if outcome != "time-outs":
                self._clock.advance(self._luck.randint(20, 500))
            call.ended, call.answered, call.outcome = self._clock.elapsed, outcome != "time-outs", outcome

    def _outcome(self, query: Query) -> str:
        if self.poisoned and POISON in query.metrics:
            return "poison"
        chance = self._luck.random()
        if self.weather == "mixed":
            return self._luck.choice(API_WEATHERS[:4]) if chance < 0.4 else "ok"
        if self.weather == "fine":
            return self._luck.choice(API_WEATHERS[:4]) if chance < 0.004 else "ok"
        return self.weather if chance < 0.9 else "ok"

    def _answered(self, query: Query, outcome: str) -> Table:
        match outcome:
            case "time-outs":
                raise TimedOut("the API did not answer in time", answered=False)
            case "429":
                raise TooManyRequests("too many requests", retry_after=self._luck.choice((None, 20 * SECOND, 90 * SECOND)))
            case "500":
                raise Unreachable("the API failed on its side (500)")
            case "401":
                raise Unauthorised("the token was refused")
            case "poison":
                raise BadQuery("check query formatting")
            case "cut":
                body = answer(self._traffic.shown(), query)
                return decode(body[: len(body) // 2], query.metrics)
        return answer_table(self._traffic.shown(), query)


@dataclass(frozen=True)
class Heard:
    """A message that a receiver has taken, at the clock that nobody sets. `sure`: its sender was told so."""

    via: str
    key: str
    kind: Kind
    thread: Receipt | None
    repeat: bool
    told: tuple[tuple[int | None, str], ...]  # incidents, and as what each was told
    at: Duration
    sure: bool
    said: bool  # whether its text has what it is about


class Desk:
    """One receiver's side: what it has heard and how it takes what comes. `kill`: the sender's process ends before or after."""

    def __init__(self, via: str, clock: VirtualClock, luck: random.Random, heard: list[Heard]) -> None:
        self._via, self._clock, self._luck, self._heard = via, clock, luck, heard
        self.weather, self.kill = "fine", ""
        self.begun: list[Duration] = []  # when attempts began
        self.faults: Counter[str] = Counter()

    def take(self, message: Message, thread: Receipt | None) -> Receipt:
        """One attempt."""
        self.begun.append(self._clock.elapsed)
        slow = self.weather == "slow" or self._luck.random() < 0.02
        self._clock.advance(self._luck.randint(3, 20) * SECOND if slow else self._luck.randint(80, 500))
        outcome, kill = self._outcome(), self.kill
        self.kill = ""
        if kill == "before":
            raise Killed
        if outcome in ("lost", "ok") or kill:
            self._keep(message, thread, sure=outcome == "ok" and not kill)
        if kill:
            raise Killed
        if outcome != "ok":
            self.faults[outcome] += 1
            raise self._problem(outcome)
        root = {"root": message.key}
        return root | {"digest": "yes"} if message.kind is Kind.DIGEST else thread or root

    def _keep(self, message: Message, thread: Receipt | None, *, sure: bool) -> None:
        told: tuple[tuple[int | None, str], ...] = ((message.notice.incident, message.kind.value),)
        if message.kind is Kind.DIGEST:
            told = tuple((number, kind) for number, kind in json.loads(message.parts[TOLD]))
        at, said = self._clock.elapsed, any(message.notice.title in text for text in message.parts.values())
        self._heard.append(Heard(self._via, message.key, message.kind, thread, message.repeat, told, at, sure, said))

    def _outcome(self) -> str:
        chance = self._luck.random()
        match self.weather:
            case "busy" | "refuses" | "gone":
                return self.weather if chance < 0.9 else "ok"
            case "loses answers":
                return self._luck.choice(("lost", "lost", "not taken")) if chance < 0.8 else "ok"
            case "mixed":
                return self._luck.choice(("busy", "refuses", "lost", "not taken")) if chance < 0.5 else "ok"
        return "ok"

    def _problem(self, outcome: str) -> DeliveryError:
        match outcome:
            case "busy":
                wait = self._luck.choice((2 * SECOND, 30 * SECOND, 5 * MINUTE))
                return DeliveryError("too many messages (429)", retry_after=wait)
            case "gone":
                return DeliveryError("channel_not_found", permanent=True)
            case "refuses":
                return DeliveryError("no connection")
        return DeliveryError("no answer", ambiguous=True)


class Peer(Channel):
    """A receiver of the simulation."""

    editable: bool = False
    _take: Callable[[Message, Receipt | None], Receipt] = PrivateAttr()

    @classmethod
    def at(cls, desk: Desk, *, editable: bool = False) -> Peer:
        """The channel to that desk."""
        found = cls(editable=editable)
        found._take = desk.take
        return found

    @property
    def edits(self) -> bool:
        return self.editable

    def missing(self, access: Access) -> str | None:
        del access
        return None

    def send(self, message: Message, thread: Receipt | None, access: Access) -> Receipt:
        del access
        return self._take(message, thread)


class PacedPeer(Peer):
    """One that wants a second between two messages, and many at once as one."""

    pace: ClassVar[int] = SECOND
    burst: ClassVar[int | None] = 2
