"""The sign of life: while all is well, a service outside hears from us again and again, and rings people when it does not.

Healthchecks' convention (https://healthchecks.io/docs/http_api/): a POST to the address is a sign of life, one to the address
with `/fail` says that something is wrong. Trouble that has lasted for a whole interval is told once in that way, with its
reason, which people then read in the service's own message; shorter trouble only leaves a sign of life out, because the service
has its own patience. One that does not know `/fail` answers with an error, which changes nothing: it misses the sign of life.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import Request

import structlog

from alertd import __version__
from alertd.channels.http import BROKEN, exchange
from alertd.clock import SECOND, Clock, Duration, Instant
from alertd.errors import AlertdError, SettingsError

_log = structlog.get_logger()

DEADLINE: Duration = 10 * SECOND  # of one call, for which whoever calls `beat` is held up
LONGEST = 500  # letters of a reason
URL = "ALERTD_HEARTBEAT__URL"
WELL = "alertd: all is well"
HEADERS = {"Content-Type": "text/plain; charset=utf-8", "User-Agent": f"alertd/{__version__}"}


@dataclass
class Heartbeat:
    """Call `beat` as often as you like, from any thread: it does something once in `every`. No threads of its own.

    `address` is where to call, None where nobody waits; `healthy` is None while all is well, else what is wrong, without
    secrets. `last_at` is the last sign of life that was taken, `error` why the last call was not.
    """

    address: Callable[[], str | None]
    every: Duration
    clock: Clock
    healthy: Callable[[], str | None]
    last_at: Instant | None = None
    error: str | None = None
    _due: Duration = 0  # uptime
    _ill: int = 0  # beats in a row that found something wrong
    _complained: bool = False  # the service knows of it
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def beat(self) -> None:
        """Call if it is time for it; at once return if somebody else is calling."""
        if not self._turn.acquire(blocking=False):
            return
        try:
            if self.clock.uptime() >= self._due:
                self._due = self.clock.uptime() + self.every  # before it is tried: what fails waits for its turn as well
                self._call()
        finally:
            self._turn.release()

    def _call(self) -> None:
        try:
            address = self.address()
            if address is None:
                self._ended(None)
                return
            self._tell(address, self._wrong())
        except AlertdError as problem:  # the file with the address cannot be read
            self._ended(str(problem))
        except Exception as problem:  # noqa: BLE001 - whoever beats has messages to send
            self._ended(f"alertd made a mistake with its sign of life ({type(problem).__name__}); report it")

    def _wrong(self) -> str | None:
        try:
            return self.healthy()
        except AlertdError as problem:
            return str(problem)
        except Exception as problem:  # noqa: BLE001 - whoever cannot say that he is well is not
            _log.exception("health cannot be told")
            return f"alertd cannot tell how it is ({type(problem).__name__}); its log has the details"

    def _tell(self, address: str, wrong: str | None) -> None:
        if wrong is None:
            self._ill, self._complained = 0, False
            _, error = _post(address, WELL)
            self.last_at = self.clock.now() if error is None else self.last_at
            self._ended(error)
            return
        self._ill += 1
        if self._ill > 1 and not self._complained:
            self._complained, error = _post(address, f"alertd: {wrong}"[:LONGEST], fail=True)
            self._ended(None if self._complained else error)

    def _ended(self, error: str | None) -> None:
        before, self.error = self.error, error
        if error and error != before:
            _log.warning("heartbeat not sent", error=error)
        elif before and not error:
            _log.info("heartbeat is sent again")


def _post(address: str, text: str, *, fail: bool = False) -> tuple[bool, str | None]:
    """Make one call: whether trying again is of no use, and why it was not taken, if so. No text has the address: a secret."""
    try:
        request = Request(_target(address, fail=fail), text.encode("utf-8", "replace"), HEADERS)  # noqa: S310 - it is http(s)
        answer = exchange(request, None, DEADLINE)
    except BROKEN as problem:
        return False, _unanswered(problem)
    if (host := answer.moved_to) is not None:
        return True, f"{URL} redirects{f' to {host}' if host else ''}, which is not followed; set it to where that leads"
    taken = 200 <= answer.status <= 299
    return answer.status < 500, None if taken else f"{URL} answers {answer.status}; check that the address is whole"


def _unanswered(problem: Exception) -> str:
    reason = problem.reason if isinstance(problem, URLError) else problem
    if isinstance(reason, TimeoutError):
        return f"nobody answers at {URL} within {DEADLINE // SECOND} s"
    unreached = isinstance(problem, URLError)
    return f"nobody is at {URL}; check it, and the network" if unreached else f"{URL}: the connection broke before the answer"


def _target(address: str, *, fail: bool) -> str:
    """Where to call; SettingsError if the address is none."""
    try:
        parts = urlsplit(address)
        good = parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc and parts.port != 0
    except ValueError:
        good = False
    if not good or not re.fullmatch(r"[!-~]+", address):
        raise SettingsError(f"{URL} is not an address to call; it begins with https:// or http://, and has no user name in it")
    return parts._replace(path=f"{parts.path.rstrip('/')}/fail").geturl() if fail else address
