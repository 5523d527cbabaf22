"""Asking the reporting API: a query in, a complete table or a ReportingError out."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import msgspec

from alertd.clock import MINUTE, SECOND, Duration
from alertd.durations import spell_duration
from alertd.errors import (
    BadQuery,
    Malformed,
    Refused,
    ReportingError,
    SettingsError,
    TimedOut,
    TooManyRequests,
    Unauthorised,
    Unreachable,
)
from alertd.reporting.decode import decode
from alertd.reporting.http import Answer, Http, clean_secret, host_of
from alertd.reporting.query import Query
from alertd.reporting.table import Table

DRIFT = "https://driftapi.com"

# "Queries will time out after 10 seconds" ("Make your Queries fast"), and the way there and back.
DEADLINE: Duration = 12 * SECOND
MOST_BYTES = 64 * 2**20
_LISTED = 4 * 2**20  # of other documents, which are read as a whole: as objects they may take twenty times that
_LONGEST_WAIT: Duration = 15 * MINUTE

_FORMATTING = "check query formatting"  # "A Note on Query Errors"
_TIMEOUT = re.compile(r"tim(?:ed|e|ing)[ -]?out", re.IGNORECASE)


class ReportingClient:
    """The reporting API at one address. `token` is called for each request, so that a new one needs no restart."""

    def __init__(
        self,
        http: Http,
        token: Callable[[], str],
        *,
        base_url: str = DRIFT,
        deadline: Duration = DEADLINE,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        """Raise SettingsError if `base_url`, which may have a path, is not an address."""
        self._http = http
        self._token = token
        self._base = _check_base(base_url)
        self._deadline = deadline
        self._most_bytes = most_bytes

    def ask(self, query: Query) -> Table:
        """Answer a query. Raises ReportingError."""
        body = msgspec.json.encode(query.to_json())
        try:
            return decode(self._call("POST", "/reports/conversations", body, self._deadline).body, query.metrics)
        except ReportingError as problem:
            raise problem.with_traceback(None) from problem.__cause__  # whose frames hold the whole answer, wherever it is kept

    def fetch(self, path: str, deadline: Duration) -> bytes:
        """Get another of the API's documents, such as `/users/list`. Raises ReportingError."""
        return self._call("GET", path, None, deadline, _LISTED).body

    def _call(self, method: str, path: str, body: bytes | None, deadline: Duration, most: int | None = None) -> Answer:
        token = self._clean_token()
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        headers |= {"Content-Type": "application/json"} if body is not None else {}
        url = self._base + path
        most_bytes = min(most or self._most_bytes, self._most_bytes)
        answer = self._http.exchange(method, url, headers=headers, body=body, deadline=deadline, most_bytes=most_bytes)
        failure = judge(answer, token)
        if failure is not None:
            raise failure
        return answer

    def _clean_token(self) -> str:
        try:
            return clean_secret(self._token(), "the token")
        except ValueError as problem:
            raise Unauthorised(f"{problem}; check ALERTD_REPORTING__TOKEN", answered=False) from None


def judge(answer: Answer, token: str) -> ReportingError | None:
    """What an answer's status means, None if it is one to be read. `token` is kept out of what the API says itself."""
    status = answer.status
    if status == 200:
        return None
    if status < 400:
        return Malformed(f"the API answered with status {status}, which its document does not know")
    if status in (401, 403):
        advice = "check ALERTD_REPORTING__TOKEN: it may have been revoked, or may not read conversations"
        return Unauthorised(f"the API refuses the token ({status}); {advice}", forbidden=status == 403)
    if status == 429:
        return _too_many(answer.headers)
    said, error_type = _complaint(answer.body)
    said = _plain(said.replace(token, "…"))
    return _judge_words(status, said, error_type, answer.body) or _judge_status(status, said)


def _judge_words(status: int, said: str, error_type: str, body: bytes) -> ReportingError | None:
    """Errors that are known by their words: with which status they come is documented nowhere."""
    if status in (400, 422, 500) and _FORMATTING in (said or body[:4096].decode("latin-1")).lower():
        return BadQuery(f'the API refused the query ("{said or _FORMATTING}"); check the filters and metrics of the rule')
    if status in (400, 500) and _TIMEOUT.search(said or body[:4096].decode("latin-1")):
        return TimedOut("the API took too long for the query; ask for less time at once, or with fewer filters")
    if status in (400, 422) and error_type == "validation_error":
        return BadQuery(f'the API refused the query ("{said}"); check the filters and metrics of the rule')
    return None


def _judge_status(status: int, said: str) -> ReportingError:
    if status in (408, 504):
        return TimedOut(f"the API took too long for the query ({status}); ask for less time at once, or with fewer filters")
    if status in (404, 410):
        advice = "check ALERTD_REPORTING__URL, and whether the API has been moved or retired"
        return Refused(f"the reporting API is not at this address ({status}); {advice}")
    also = f', saying "{said}"' if said else ""
    if status < 500:
        return Refused(f"the API refused the call ({status}){also}; check ALERTD_REPORTING__URL")
    return Unreachable(f"the API failed on its side ({status}){also}")


def _too_many(headers: Mapping[str, str]) -> TooManyRequests:
    wait = _retry_after(headers)
    when = f"again in {spell_duration(wait)}" if wait is not None else "it does not say when again"
    advice = "lower ALERTD_BUDGET__CALLS_PER_MINUTE if others use this token"
    return TooManyRequests(f"the API has had too many calls (429), {when}; {advice}", retry_after=wait)


def _retry_after(headers: Mapping[str, str]) -> Duration | None:
    """Read Retry-After (RFC 9110, 10.2.3); a date counts from the answer's own, so that our clock may be wrong."""
    text = headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]{1,9}", text):
        return min(int(text) * SECOND, _LONGEST_WAIT)
    try:
        wait = parsedate_to_datetime(text) - parsedate_to_datetime(headers.get("date", ""))
    except (ValueError, TypeError, OverflowError):  # not a date, or a year without end; or only one of them knows its zone
        return None
    milliseconds = round(wait.total_seconds() * SECOND)
    return min(milliseconds, _LONGEST_WAIT) if milliseconds >= 0 else None


def _complaint(body: bytes) -> tuple[str, str]:
    """An error's message and type, each "" if there is none.

    The document shows no error; seen elsewhere are {"error": {"type", "message"}}, {"error": "..."}, {"errors": [{...}]} and
    the gateway's {"message": "..."}.
    """
    try:
        raw = msgspec.json.decode(body[: 64 * 1024])
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return "", ""
    outer = raw if isinstance(raw, dict) else {}
    errors = outer.get("errors")
    found: Any = outer.get("error") or (errors[0] if isinstance(errors, list) and errors else outer)
    if isinstance(found, str):
        return _text(outer.get("error_description")) or _text(outer.get("message")) or found, found
    if not isinstance(found, dict):
        return "", ""
    return _text(found.get("message")), _text(found.get("type"))


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _plain(text: str) -> str:
    """Printable ASCII in one line of at most 200 characters."""
    return " ".join(re.sub(r"[^\x21-\x7e…]+", " ", text).split())[:200]


def _check_base(url: str) -> str:
    try:
        host_of(url)
    except Refused as problem:
        raise SettingsError(f"{problem}; check ALERTD_REPORTING__URL") from None
    parts = urlsplit(url)
    if parts.query or parts.fragment:
        raise SettingsError(f"the address of {parts.hostname} ends in a query or a fragment; check ALERTD_REPORTING__URL")
    return url.rstrip("/")
