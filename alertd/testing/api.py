"""A reporting API in memory: the sandbox's own filters and answers over conversations that a test writes down."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from alertd.clock import Clock
from alertd.errors import ReportingError
from alertd.reporting.decode import decode
from alertd.reporting.query import Query
from alertd.reporting.table import Table
from alertd.sandbox.answer import answer
from alertd.sandbox.importing import from_rows


class FakeApi:
    """Answers as the API would at the clock's time, through the real encoding and decoding.

    `asked` are the queries so far; `failures` are used up one a call, None meaning that it works; `refuses` says of any
    query what is wrong with it.
    """

    def __init__(self, clock: Clock, conversations: Iterable[Mapping[str, Any]] = ()) -> None:
        self._clock = clock
        self.conversations: list[dict[str, Any]] = [dict(each) for each in conversations]
        self.asked: list[Query] = []
        self.failures: list[ReportingError | None] = []
        self.refuses: Callable[[Query], ReportingError | None] = lambda _query: None

    def ask(self, query: Query) -> Table:
        """One call."""
        self.asked.append(query)
        problem = self.failures.pop(0) if self.failures else self.refuses(query)
        if problem is not None:
            raise problem
        return decode(answer(from_rows(self.conversations).at(self._clock.now()), query), query.metrics)

    def add(self, created: int, **values: Any) -> int:
        """Write down one conversation: open, one visitor message at its creation, unless `values` say otherwise; its id."""
        number = len(self.conversations) + 1
        row = {"id": number, "createdAt": created, "firstEndUserMessageAt": created, "numEndUserMessages": 1, "status": "open"}
        answered = values.get("timeToAgentResponseMillis")
        if answered is not None:
            row["firstAgentMessageAt"] = created + answered
        self.conversations.append({key: value for key, value in (row | values).items() if value is not None})
        return number
