"""The figures that `/metrics` shows. Names and labels are a promise; `docs/operating.md` lists them, made from here."""

from __future__ import annotations

import math
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from alertd import __version__, channels
from alertd.clock import SECOND, Duration
from alertd.errors import ReportingError, StoreError
from alertd.facts import Level
from alertd.overview import Overview
from alertd.planning.forecast import Forecast
from alertd.web.health import Check

# Of every counter and histogram the moment at which it began: a series more each, and that of the process says the same.
disable_created_metrics()  # type: ignore[no-untyped-call]  # it has no annotations

_CALL = (0.1, 0.25, 0.5, 1, 2, 4, 8, 12, 16)
_TICK = (0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 150, 300, 900)


@dataclass(frozen=True)
class Figure:
    """One metric as it is promised: the name under which it is served, its kind, its labels and what it says."""

    name: str
    kind: str
    labels: tuple[str, ...]
    text: str


class Metrics:
    """All of alertd's metrics, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.promised: list[Figure] = []
        self._gauges: dict[str, Gauge] = {}
        ProcessCollector(registry=self.registry)
        self._gauge("alertd_build_info", "Always 1; which alertd runs on which Python.", "version", "python").labels(
            __version__, platform.python_version()
        ).set(1)
        self._parts = self._gauge("alertd_part_ok", "1 while a part works, 0 while not: the checks of /readyz.", "part")
        self._of_evaluation()
        self._of_calls()
        self._of_sending()
        self._of_keeping()

    def _of_evaluation(self) -> None:
        self.rules = self._gauge("alertd_rules", "Rules in the rulebook.")
        self.evaluations = self._counter(
            "alertd_evaluations", "Rules checked, by evidence: ok, no_data, insufficient, error, stale.", "evidence"
        )
        self.missed = self._counter("alertd_missed", "Due instants of rules that passed without a check.")
        self.late = self._counter("alertd_late", "Rules whose check was over more than a minute after its instant.")
        self.tick = self._histogram("alertd_tick_seconds", "From a due instant to its last settled rule.", _TICK)
        self._gauge("alertd_tick_timestamp_seconds", "When rules were checked last.")
        self._gauge("alertd_tick_expected_timestamp_seconds", "When rules are to be checked next.")
        self._gauge("alertd_rules_in_check", "Rules that are being checked.")
        self._gauge("alertd_rules_without_evidence", "Rules whose last check brought no complete answer.")
        self.notices = self._counter(
            "alertd_notices", "Notices of rules, by kind: opened, changed, resolved and others.", "kind"
        )
        self.firing = self._gauge("alertd_alerts_firing", "Alerts that fire now, by level.", "level")

    def _of_calls(self) -> None:
        self.calls = self._counter(
            "alertd_calls",
            "Calls to the reporting API, by outcome: ok, timed_out, too_many_requests and others.",
            "outcome",
        )
        for kind in (*ReportingError.__subclasses__(), None):
            self.calls.labels(kind.name if kind else "ok")
        self.call_seconds = self._histogram("alertd_call_seconds", "How long calls to the reporting API took.", _CALL)
        self.free = self._gauge("alertd_budget_free", "Calls that could be made at once.")
        self.slots = self._gauge(
            "alertd_budget_calls",
            "Calls a minute: limit, and of these in_use, reserve (left to others), withheld (since the API refused some).",
            "of",
        )
        self.blocked = self._gauge("alertd_budget_blocked_seconds", "For how long no call is made, since the API refused some.")
        self.forecast = self._gauge(
            "alertd_forecast_calls", "Calls that the rulebook takes: worst_minute, mean_per_minute.", "of"
        )
        self._gauge("alertd_forecast_fits", "1 if every rule can be checked in time, as far as is foreseen.")

    def _of_sending(self) -> None:
        self.deliveries = self._counter(
            "alertd_deliveries", "Attempts to send, by channel and outcome: sent, retried, dead.", "channel", "outcome"
        )
        for channel, outcome in product(channels.names(), ("sent", "retried", "dead")):
            self.deliveries.labels(channel, outcome)  # from 0 on: Prometheus does not count the step from nothing to 1
        self.outbox = self._gauge("alertd_outbox", "Deliveries not yet sent (queued), and dead ones.", "state")
        self._gauge("alertd_outbox_oldest_seconds", "For how long the oldest delivery has waited; 0 where none waits.")
        self.buttons = self._gauge("alertd_buttons_connected", "1 while buttons in Slack are heard, 0 while not.")
        self.heartbeat = self._gauge("alertd_heartbeat_timestamp_seconds", "When the last sign of life was taken.")
        self.own = self._gauge("alertd_troubles", "Troubles of alertd itself that people were told of and that go on.")

    def _of_keeping(self) -> None:
        self._gauge("alertd_rulebook_ok", "1 if the newest rule files run, 0 if they are wrong.")
        self.taken_at = self._gauge("alertd_rulebook_taken_timestamp_seconds", "When the rulebook that runs was taken.")
        self._gauge("alertd_rulebook_looked_timestamp_seconds", "When the rule files were looked at last.")
        self.rejected = self._counter("alertd_rulebook_rejections", "New rule files that were wrong.")
        self.store_failures = self._counter(
            "alertd_store_write_failures", "Trials to write into the store that failed; there is one a minute."
        )
        self._gauge("alertd_store_written_timestamp_seconds", "When a trial was last written into the store.")
        self.bytes = self._gauge("alertd_store_bytes", "Size of the store.")
        self._gauge("alertd_pruned_timestamp_seconds", "When old history was last removed.")

    def delivered(self, channel: str, outcome: str) -> None:
        """A message was tried."""
        self.deliveries.labels(channel, outcome).inc()

    def took(self, length: Duration) -> None:
        """A call to the API has ended."""
        self.call_seconds.observe(length / SECOND)

    def look_at(self, heartbeat: Callable[[], float], buttons: Callable[[], float]) -> None:
        """Ask these whenever figures are wanted; NaN: there is none."""
        self.heartbeat.set_function(heartbeat)
        self.buttons.set_function(buttons)

    def plan(self, found: Forecast) -> None:
        """Show what the rulebook will ask."""
        self.forecast.labels("worst_minute").set(found.worst_minute)
        self.forecast.labels("mean_per_minute").set(found.mean_per_minute)

    def collect(
        self,
        look: Callable[[], Overview],
        checks: Callable[[], Mapping[str, Check]] = dict,
        *sources: Callable[[], Mapping[str, float]],
    ) -> Callable[[], bytes]:
        """All figures in Prometheus's text format, those that stand in the store as they are at that moment.

        `checks` are those of `/readyz`; each of `sources` gives values by the names of their gauges, StoreError.
        """

        def figures() -> bytes:
            try:
                self._show(look())
            except StoreError:  # /readyz says why; a figure that is not known is not 0
                self._forget()
            for part, check in checks().items():
                self._parts.labels(part).set(check.ok)
            for source in sources:
                for name, value in source().items():
                    self._gauges[name].set(value)
            return generate_latest(self.registry)

        return figures

    def _show(self, found: Overview) -> None:
        budget = found.budget
        self.free.set(budget.free)
        self.blocked.set(budget.blocked_for / SECOND)
        for name, calls in _slots(budget.calls_per_minute, budget.in_use, budget.reserve, budget.withheld).items():
            self.slots.labels(name).set(calls)
        self.taken_at.set(found.rulebook.at / SECOND if found.rulebook else math.nan)
        for level in (Level.WARNING, Level.CRITICAL):
            self.firing.labels(level.value).set(sum(alert.level is level for alert in found.firing))
        self.own.set(sum(each.rule.startswith("alertd-") for each in found.incidents))
        self.outbox.labels("queued").set(found.queued)
        self.outbox.labels("dead").set(found.dead)

    def _forget(self) -> None:
        of_calls = [self.slots.labels(name) for name in _slots(0, 0, 0, 0)]
        levels = [self.firing.labels(level.value) for level in (Level.WARNING, Level.CRITICAL)]
        states = [self.outbox.labels(state) for state in ("queued", "dead")]
        for gauge in (self.free, self.blocked, self.taken_at, self.own, *of_calls, *levels, *states):
            gauge.set(math.nan)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        self.promised.append(Figure(f"{name}_total", "counter", labels, text))
        return Counter(name, text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        self.promised.append(Figure(name, "gauge", labels, text))
        self._gauges[name] = found = Gauge(name, text, labels, registry=self.registry)
        if not labels:
            found.set(math.nan)  # until somebody knows
        return found

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
        self.promised.append(Figure(name, "histogram", (), text))
        return Histogram(name, text, buckets=buckets, registry=self.registry)


def _slots(limit: int, in_use: int, reserve: int, withheld: int) -> dict[str, int]:
    return {"limit": limit, "in_use": in_use, "reserve": reserve, "withheld": withheld}
