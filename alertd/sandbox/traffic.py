"""A small contact centre: from a seed and a day to that day's conversations, always the same ones."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

import numpy as np

from alertd.clock import DAY, HOUR, MINUTE, SECOND, Instant
from alertd.reporting.table import Mask
from alertd.sandbox import company
from alertd.sandbox.arrivals import BOT_ONLY, ROUTES, Arrivals, Rates, day_start, draw, flat_rates, stack, take, week_rates
from alertd.sandbox.company import AGENTS, Agent
from alertd.sandbox.conversations import Conversations, Seen, seen
from alertd.sandbox.desk import Shift
from alertd.sandbox.scenarios import Scenario, ScenarioKind, spans
from alertd.sandbox.timeline import Paces, play

_LOAD = 0.5  # how busy the team is on average; with the week's ups and downs its busy hours come out well above
_QUIET = 0.04  # what a quiet night leaves of the arrivals
_RUSH = 4
_AHEAD = 2 * DAY  # how far beyond now there are always conversations
_BASE, _EXTRA = range(2)  # a scenario draws from a stream of its own, so that it changes nothing before it starts


@dataclass(frozen=True, slots=True)
class Traffic:
    """Who comes and what goes wrong. `week`: busy and quiet hours, shifts in `zone`; `flat`: any hour like any other."""

    per_day: float = 1_000
    seed: int = 1
    profile: Literal["week", "flat"] = "week"
    zone: str = "UTC"
    scenarios: tuple[Scenario, ...] = ()


class Generated:
    """A world that goes on: history for some days, and further days as time passes. Safe to ask from several threads."""

    def __init__(self, traffic: Traffic, start: Instant, days: float = 7) -> None:
        self.users: list[dict[str, Any]] = company.users()
        self.playbooks: list[dict[str, Any]] = company.playbooks()
        self._traffic = traffic
        self._lock = threading.Lock()
        self._begin = start - round(days * DAY)
        self._next = _local_day(traffic, self._begin)
        self._rows = self._grow(None, start + _AHEAD)

    def at(self, now: Instant) -> Seen:
        """What had happened by then; days that are not there yet are played first."""
        with self._lock:
            if now + _AHEAD - DAY > day_start(self._next, ZoneInfo(self._traffic.zone)):
                self._rows = self._grow(self._rows, now + _AHEAD)
            rows = self._rows
        return seen(rows, now)

    def _grow(self, rows: Conversations | None, until: Instant) -> Conversations:
        zone = ZoneInfo(self._traffic.zone)
        parts = [] if rows is None else [rows]
        while not parts or day_start(self._next, zone) <= until:
            played = play_day(self._traffic, self._next)
            parts.append(take(played, played.created >= self._begin))
            self._next += timedelta(days=1)
        return stack(parts)


def play_day(traffic: Traffic, day: date) -> Conversations:
    """All conversations of one day of traffic, which runs from 4 to 4 o'clock local time."""
    zone = ZoneInfo(traffic.zone)
    rates = (week_rates if traffic.profile == "week" else flat_rates)(day, zone, traffic.per_day)
    shifts = _shifts(traffic, day, zone)
    closed = spans(traffic.scenarios, ScenarioKind.NOBODY_ANSWERS)
    return play(_visitors(traffic, day, rates), shifts, closed, paces(traffic))


def paces(traffic: Traffic) -> Paces:
    """How fast people are: as fast as lets the team bear the traffic, within what people can do.

    Visitors wait about as long as a chat takes; what piles up while nobody answers is then about what the team can
    take up at once.
    """
    if traffic.profile == "week":
        capacity = sum((agent.hours[1] - agent.hours[0]) * len(agent.days) * agent.chats for agent in AGENTS) / 7 * HOUR
    else:
        capacity = sum(agent.chats for agent in AGENTS) * DAY
    wanted = traffic.per_day * (1 - ROUTES[BOT_ONLY])
    work = min(6 * MINUTE, max(5 * SECOND, _LOAD * capacity / max(wanted, 1)))
    return Paces(
        work=work,
        reaction=min(30 * SECOND, max(7 * SECOND, work / 8)),
        patience=max(45 * SECOND, work),
        bot_part=min(45 * SECOND, max(8 * SECOND, work / 4)),
        closing=min(3 * MINUTE, max(15 * SECOND, work / 2)),
    )


def _visitors(traffic: Traffic, day: date, rates: Rates) -> Arrivals:
    """The day's arrivals in order, with what scenarios add and take away; no two in the same millisecond."""
    base = draw(_rng(traffic, day, _BASE), rates)
    every = stack([base, *_rush(traffic, day, rates)])
    every = take(every, ~(_missing(traffic, every)))
    return take(every, np.unique(every.at, return_index=True)[1])


def _rush(traffic: Traffic, day: date, rates: Rates) -> list[Arrivals]:
    rushes = spans(traffic.scenarios, ScenarioKind.RUSH)
    if not any(_overlap(rates, each) for each in rushes):
        return []
    extra = draw(_rng(traffic, day, _EXTRA), [(start, length, count * (_RUSH - 1)) for start, length, count in rates])
    return [take(extra, _inside(extra, rushes))]


def _missing(traffic: Traffic, every: Arrivals) -> Mask:
    """Visitors whom a scenario keeps away."""
    quiet = _inside(every, spans(traffic.scenarios, ScenarioKind.QUIET_NIGHT)) & (every.whim > _QUIET)
    broken = _inside(every, spans(traffic.scenarios, ScenarioKind.BROKEN_PLAYBOOK))
    greeted = every.route <= 1  # a bot greets on both routes that start with one
    missing: Mask = quiet | (broken & greeted & (every.playbook == company.BROKEN))
    return missing


def _shifts(traffic: Traffic, day: date, zone: ZoneInfo) -> list[Shift]:
    on = [(place, *_hours(traffic, agent, day, zone)) for place, agent in enumerate(AGENTS) if _works(traffic, agent, day)]
    asleep = spans(traffic.scenarios, ScenarioKind.AGENT_ASLEEP)
    nobody = spans(traffic.scenarios, ScenarioKind.NOBODY_ANSWERS)
    sleeper = {span: next((place for place, start, end in on if start <= span[0] < end), None) for span in asleep}
    return [
        Shift(
            place,
            start,
            end,
            AGENTS[place].pace,
            AGENTS[place].chats,
            sorted([*nobody, *(span for span in asleep if sleeper[span] == place)]),
        )
        for place, start, end in on
    ]


def _works(traffic: Traffic, agent: Agent, day: date) -> bool:
    return traffic.profile == "flat" or day.weekday() in agent.days


def _hours(traffic: Traffic, agent: Agent, day: date, zone: ZoneInfo) -> tuple[float, float]:
    if traffic.profile == "flat":
        return float(day_start(day, zone)), float("inf")
    midnight = datetime.combine(day, time(), zone)
    start, end = (midnight + timedelta(hours=hour) for hour in agent.hours)  # on the wall clock, as shifts are
    return start.timestamp() * 1000, end.timestamp() * 1000


def _inside(every: Arrivals, when: Iterable[tuple[Instant, Instant]]) -> Mask:
    found = np.zeros(len(every.at), dtype=np.bool_)
    for start, end in when:
        found |= (every.at >= start) & (every.at < end)
    return found


def _overlap(rates: Rates, span: tuple[Instant, Instant]) -> bool:
    first, last = rates[0][0], rates[-1][0] + rates[-1][1]
    return span[0] < last and span[1] > first


def _rng(traffic: Traffic, day: date, stream: int) -> np.random.Generator:
    return np.random.default_rng([traffic.seed, day.toordinal(), stream])


def _local_day(traffic: Traffic, moment: Instant) -> date:
    """The day of traffic that an instant falls in."""
    local = datetime.fromtimestamp(moment / 1000, UTC).astimezone(ZoneInfo(traffic.zone))
    return (local - timedelta(hours=4)).date()
