"""Everything that can go wrong, as one tree. A person reads the message, so it says what to do.

AlertdError
├── SettingsError               a setting is missing or wrong
├── RulebookError               the rule files cannot be loaded; carries its findings
├── QueryError                  a filter or query that the API's document does not allow (also a ValueError)
├── TemplateError               a message template is broken, too slow or too long
├── StoreError                  the database cannot be used
│   ├── StoreHeld               another daemon holds it
│   ├── StoreDown               nothing can be written there now: its disk is full, its server is gone; it may pass
│   └── StoreDamaged            its file is damaged, or is not there any more; it does not pass
├── BudgetSpent                 no slot came free before the deadline
├── ReportingError              the reporting API did not answer a query as its document says
│   ├── Unauthorised            401, 403
│   ├── TooManyRequests         429; carries `retry_after`
│   ├── TimedOut                slower than the API's 10 s or our deadline
│   ├── BadQuery                "check query formatting"
│   ├── Malformed               an answer that is not what the document promises
│   ├── Incomplete              `count` says that there is more than came
│   ├── TooLarge                more bytes than one answer may have
│   ├── Refused                 any other 4xx: wrong address, retired endpoint
│   └── Unreachable             no connection, cut connection, 5xx
└── DeliveryError               a receiver did not take a message; carries `permanent`, `retry_after`, `ambiguous`
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar


class AlertdError(Exception):
    """Whatever alertd raises on purpose."""


class SettingsError(AlertdError):
    """A setting is missing or wrong."""


class RulebookError(AlertdError):
    """The rule files cannot be loaded; `findings` says where and why, all at once."""

    def __init__(self, message: str, findings: Sequence[object] = ()) -> None:
        super().__init__(message)
        self.findings = tuple(findings)


class QueryError(AlertdError, ValueError):
    """A filter or query that the API's document does not allow.

    A ValueError too, so that pydantic collects it with the place where it stands. `path` leads from the filter or query
    to the part that is wrong, such as ("values", 0); `suggestion` is the name that was probably meant.
    """

    def __init__(self, message: str, path: tuple[str | int, ...] = (), suggestion: str | None = None) -> None:
        super().__init__(message)
        self.path = path
        self.suggestion = suggestion


class TemplateError(AlertdError):
    """A message template is broken, too slow or too long."""


class StoreError(AlertdError):
    """The database cannot be used."""


class StoreHeld(StoreError):
    """Another daemon holds the store."""


class StoreDown(StoreError):
    """The store as a whole cannot be used now, whatever was asked of it: its disk is full, its server is gone. It may pass.

    The daemon says so once when it begins and once when it is over; whoever waits for the store need not.
    """


class StoreDamaged(StoreError):
    """The store's file is damaged, or is not there any more. That does not pass by itself."""


class BudgetSpent(AlertdError):
    """No slot came free before the deadline."""


class ReportingError(AlertdError):
    """The reporting API did not answer a query as its document says.

    `answered` is true once the API has sent us a response: then the call has surely arrived and its slot returns on time.
    """

    name: ClassVar[str] = "error"

    def __init__(self, message: str, *, answered: bool = True) -> None:
        super().__init__(message)
        self.answered = answered


class Unauthorised(ReportingError):
    """The token was refused (401, 403). `forbidden`: it was known, but may not do this; that may lie in the one query."""

    name = "unauthorised"

    def __init__(self, message: str, *, answered: bool = True, forbidden: bool = False) -> None:
        super().__init__(message, answered=answered)
        self.forbidden = forbidden


class TooManyRequests(ReportingError):
    """The API's own limit was reached (429). `retry_after` is in milliseconds, None when the API did not say."""

    name = "too_many_requests"

    def __init__(self, message: str, *, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class TimedOut(ReportingError):
    """The query took longer than the API's 10 s or our own deadline."""

    name = "timed_out"


class BadQuery(ReportingError):
    """The API refused the query itself ("check query formatting")."""

    name = "bad_query"


class Malformed(ReportingError):
    """The answer is not what the document promises."""

    name = "malformed"


class Incomplete(ReportingError):
    """The answer has fewer rows than its `count` says; asking for less time at once may help."""

    name = "incomplete"


class TooLarge(ReportingError):
    """The answer has more bytes than one answer may have; asking for less time at once may help."""

    name = "too_large"


class Refused(ReportingError):
    """The API refused the call for another reason (any other 4xx): a wrong address, a retired endpoint."""

    name = "refused"


class Unreachable(ReportingError):
    """The API could not be reached, broke off, or failed on its side (5xx)."""

    name = "unreachable"


class DeliveryError(AlertdError):
    """A receiver did not take a message.

    `permanent`: trying again is useless. `retry_after`: milliseconds the receiver asked us to wait. `ambiguous`: it may
    have taken the message although we have no proof. `receipt`: what is done already, for the next attempt to know.
    """

    def __init__(
        self,
        message: str,
        *,
        permanent: bool = False,
        retry_after: int | None = None,
        ambiguous: bool = False,
        receipt: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.receipt = receipt
        self.permanent = permanent
        self.retry_after = retry_after
        self.ambiguous = ambiguous
