"""The figures that `/metrics` shows. Names and labels are a promise."""

from __future__ import annotations

import math
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from alertd.clock import SECOND
from alertd.errors import StoreError
from alertd.facts import Level
from alertd.overview import Overview
from alertd.planning.forecast import Forecast


class Metrics:
    """All of alertd's metrics, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.calls = Counter("alertd_calls", "Calls to the reporting API by outcome.", ["outcome"], registry=self.registry)
        self.evaluations = Counter("alertd_evaluations", "Rules checked, by evidence.", ["evidence"], registry=self.registry)
        self.missed = Counter("alertd_missed", "Due instants that passed without a check.", registry=self.registry)
        self.notices = Counter("alertd_notices", "Notices by kind.", ["kind"], registry=self.registry)
        self.deliveries = Counter(
            "alertd_deliveries", "Attempts to send, by channel and outcome.", ["channel", "outcome"], registry=self.registry
        )
        self.tick = Histogram("alertd_tick_seconds", "From a due instant to its last settled rule.", registry=self.registry)
        self.rules = Gauge("alertd_rules", "Rules in the rulebook.", registry=self.registry)
        self.reload_ok = Gauge("alertd_rulebook_ok", "1 if the newest rule files were loaded.", registry=self.registry)
        self.taken_at = Gauge(
            "alertd_rulebook_taken_timestamp_seconds", "When the rulebook that runs was taken.", registry=self.registry
        )
        self.free = Gauge("alertd_budget_free", "Calls that could be made at once.", registry=self.registry)
        self.forecast = Gauge(
            "alertd_forecast_calls",
            "Calls that the rulebook takes: worst_minute, mean_per_minute.",
            ["of"],
            registry=self.registry,
        )
        self.firing = Gauge("alertd_alerts_firing", "Alerts that fire now, by level.", ["level"], registry=self.registry)
        self.heartbeat = Gauge(
            "alertd_heartbeat_timestamp_seconds", "When the last sign of life was taken.", registry=self.registry
        )
        self.buttons = Gauge("alertd_buttons_connected", "1 while buttons in Slack are heard.", registry=self.registry)
        self.outbox = Gauge("alertd_outbox", "Deliveries not yet sent, and dead ones.", ["state"], registry=self.registry)

    def delivered(self, channel: str, outcome: str) -> None:
        """A message was tried."""
        self.deliveries.labels(channel, outcome).inc()

    def look_at(self, heartbeat: Callable[[], float], buttons: Callable[[], float]) -> None:
        """Ask these whenever figures are wanted; NaN: there is none."""
        self.heartbeat.set_function(heartbeat)
        self.buttons.set_function(buttons)

    def plan(self, found: Forecast) -> None:
        """Show what the rulebook will ask."""
        self.forecast.labels("worst_minute").set(found.worst_minute)
        self.forecast.labels("mean_per_minute").set(found.mean_per_minute)

    def collect(self, look: Callable[[], Overview]) -> Callable[[], bytes]:
        """All figures in Prometheus's text format, those that stand in the store as they are at that moment."""

        def figures() -> bytes:
            try:
                self._show(look())
            except StoreError:  # /readyz says why; a figure that is not known is not 0
                self._forget()
            return generate_latest(self.registry)

        return figures

    def _show(self, found: Overview) -> None:
        self.free.set(found.budget.free)
        self.taken_at.set(found.rulebook.at / SECOND if found.rulebook else math.nan)
        for level in (Level.WARNING, Level.CRITICAL):
            self.firing.labels(level.value).set(sum(alert.level is level for alert in found.firing))
        self.outbox.labels("queued").set(found.queued)
        self.outbox.labels("dead").set(found.dead)

    def _forget(self) -> None:
        levels = [self.firing.labels(level.value) for level in (Level.WARNING, Level.CRITICAL)]
        for gauge in (self.free, self.taken_at, *levels, *(self.outbox.labels(state) for state in ("queued", "dead"))):
            gauge.set(math.nan)
