"""Prometheus's own rules for alerts, as its rules/alerting.go and rules/group.go have them, and the Alertmanager's memory.

Only what a rule's states and its receivers' view follow from. Here a rule has a limit instead of an expression: what is not
over it is not in the answer.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from alertd.clock import HOUR, MINUTE, Duration, Instant

RESEND: Duration = MINUTE  # --rules.alert.resend-delay
GRACE: Duration = 10 * MINUTE  # --rules.alert.for-grace-period
TOLERANCE: Duration = HOUR  # --rules.alert.for-outage-tolerance


@dataclass
class Active:
    """An instance that is pending or firing."""

    since: Instant  # activeAt
    fires: bool = False
    absent_since: Instant | None = None  # keepFiringSince


@dataclass
class Prometheus:
    """One rule in one server: what it has in memory, what it wrote down, and what the Alertmanager knows."""

    every: Duration
    hold: Duration
    keep_firing: Duration
    missed: int = 0
    _active: dict[str, Active] = field(default_factory=dict)
    _written: dict[str, tuple[Instant, Instant]] = field(default_factory=dict)  # ALERTS_FOR_STATE: activeAt, when written
    _ends: dict[str, Instant] = field(default_factory=dict)  # the Alertmanager's: EndsAt of what was sent last
    _last: Instant | None = None
    _restoring: int = 0  # evaluations until the state of before is looked for

    def restart(self) -> None:
        """A new process: only what was written down and sent is left."""
        self._active, self._last = {}, None
        self._restoring = 2

    def remove(self) -> None:
        """The rule is taken out of its file: it is not evaluated any more, and nothing is sent of it."""
        self._active, self._written = {}, {}

    def evaluate(self, at: Instant, over: Collection[str] | None) -> None:
        """One evaluation; None: the query failed, or had the same labels twice."""
        if self._last is not None:
            self.missed += (at - self._last) // self.every - 1
        self._last = at
        if over is not None:
            for name in over:
                self._active.setdefault(name, Active(at))
            for name, each in list(self._active.items()):
                self._move(name, each, at, there=name in over)
            self._send(at)
        self._write(at)

    def state(self) -> str:
        """The rule's state, which is the highest of its instances."""
        return "f" if any(each.fires for each in self._active.values()) else "p" if self._active else "i"

    def told(self, at: Instant) -> bool:
        """Whether the Alertmanager takes anything to be going on."""
        return any(end > at for end in self._ends.values())

    def _move(self, name: str, each: Active, at: Instant, *, there: bool) -> None:
        if there:
            each.absent_since = None
            each.fires = at - each.since >= self.hold  # also back to pending, where `for` was raised
            return
        if each.fires and self.keep_firing:
            each.absent_since = at if each.absent_since is None else each.absent_since
            if at - each.absent_since < self.keep_firing:
                return
        if each.fires:
            self._ends[name] = at  # resolved
        del self._active[name]
        self._written.pop(name, None)

    def _send(self, at: Instant) -> None:
        for name, each in self._active.items():
            if each.fires:
                self._ends[name] = at + 4 * max(self.every, RESEND)

    def _write(self, at: Instant) -> None:
        """Write down since when what is active; after a start only once the state of before has been looked for."""
        if self._restoring:
            self._restoring -= 1
            if self._restoring == 0 and self.hold >= GRACE:
                self._restore(at)
        if not self._restoring:
            self._written |= {name: (each.since, at) for name, each in self._active.items()}

    def _restore(self, at: Instant) -> None:
        for name, each in self._active.items():
            since, written_at = self._written.get(name, (at, 0))
            if at - written_at > TOLERANCE:
                continue
            remaining = self.hold - (written_at - since)
            if remaining <= 0:
                each.since = since
            elif remaining < GRACE:
                each.since = at + GRACE - self.hold
            else:
                each.since = since + at - written_at
