"""The figures that `/metrics` shows. Names and labels are a promise."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


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
        self.free = Gauge("alertd_budget_free", "Calls that could be made at once.", registry=self.registry)
        self.firing = Gauge("alertd_alerts_firing", "Alerts that fire now, by level.", ["level"], registry=self.registry)
        self.outbox = Gauge("alertd_outbox", "Deliveries not yet sent, and dead ones.", ["state"], registry=self.registry)
