"""A refused token is not tried with every query: the API is asked again after five minutes, or when the token changes."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable

from alertd.clock import MINUTE, Clock, Duration
from alertd.errors import Unauthorised

PROBE_EVERY: Duration = 5 * MINUTE


class Gate:
    """Closed after a 401 or 403. Thread-safe. `token` tells the token as it is now."""

    def __init__(self, token: Callable[[], str | None], clock: Clock) -> None:
        self._token = token
        self._clock = clock
        self._lock = threading.Lock()
        self._refusal: Unauthorised | None = None
        self._token_then = ""
        self._until: Duration = 0
        self._taken_at: Duration | None = None

    def check(self) -> None:
        """Raise the refusal again, without a call, while it is not time to try."""
        with self._lock:
            if self._refusal is None or self._fingerprint() != self._token_then:
                return
            if self._clock.uptime() < self._until:
                raise Unauthorised(str(self._refusal))
            self._until = self._clock.uptime() + PROBE_EVERY  # this caller probes; the others go on waiting

    def close(self, refusal: Unauthorised) -> None:
        """The token was refused. A 403 is the query's own, as long as the token was good for another a moment ago."""
        with self._lock:
            recently = self._taken_at is not None and self._clock.uptime() - self._taken_at < PROBE_EVERY
            if refusal.forbidden and recently:
                return
            self._refusal, self._token_then = refusal, self._fingerprint()
            self._until = self._clock.uptime() + PROBE_EVERY

    def open(self) -> None:
        """The token was taken."""
        with self._lock:
            self._refusal, self._taken_at = None, self._clock.uptime()

    def _fingerprint(self) -> str:
        return hashlib.sha256((self._token() or "").encode()).hexdigest()
