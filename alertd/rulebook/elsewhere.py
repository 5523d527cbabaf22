"""Keys that people know from other tools, and which of ours is meant."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True)
class Meant:
    """One of our keys, and how it is written."""

    key: str
    told: str


_MEANT = {
    "every": ("how often it is checked is written every: 5m", "interval frequency evaluation_interval eval_interval period"),
    "cron": ('times of the day are written cron: "0 8 * * mon-fri", and how often it is checked every: 5m', "schedule crontab"),
    "window": ("how far it looks back is written window: 1h", "lookback range timeframe time_range time_window"),
    "filters": (
        "which conversations it is about is written filters: [{property: status, operation: EQ, values: [open]}]",
        "query where filter match selector conditions",
    ),
    "measure": (
        "what is calculated is written measure: count, or measure: {median: timeToAgentResponseMillis}",
        "metric metrics aggregation aggregate function expr",
    ),
    "by": ("groups are written by: lastAgentId", "group_by groupby"),
    "for": ("how long it must last is written for: 10m", "duration pending pending_period"),
    "warning": (
        "limits stand under their level, such as warning: {above: 5m}",
        "threshold thresholds condition limit alert_condition severity level",
    ),
    "notify": (
        "who is told is written notify: support-slack, a name of receivers.yaml",
        "channel channels receiver receivers recipients contact contacts contact_point slack email notification notifications",
    ),
    "remind": ("telling again is written remind: 2h", "repeat repeat_interval renotify renotify_interval"),
    "title": ("what people read is written title:", "summary alert"),
    "description": ("what it means is written description:", "message annotations text"),
    "labels": ("labels are written labels: {team: support}", "tags"),
    "runbook": ("the page that says what to do is written runbook:", "runbook_url link url"),
    "timezone": ("the time zone is written timezone: Europe/Berlin", "tz time_zone"),
    "no_data": ("what no conversations amount to is written no_data: keep", "no_data_state nodata on_no_data"),
    "above": ("a limit is written above: 5m, or below: 5m", "threshold value limit gt gte over greater_than more_than"),
    "below": ("a limit is written below: 5m", "lt lte under less_than"),
}


def meant_key(key: str, known: Collection[str]) -> Meant | None:
    """Which of the known keys somebody means who writes the key of another tool, and how it is written."""
    spelt = key.casefold().replace("-", "_")
    found = (Meant(ours, told) for ours, (told, theirs) in _MEANT.items() if ours in known and spelt in theirs.split())
    return next(found, None)
