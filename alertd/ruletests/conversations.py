"""From the conversations of a test to a world that tells, at any instant, what had happened by then.

A conversation is open and has one visitor message at its creation. What belongs together follows from what is given, as in
the sandbox's own traffic: an answer has its moment, its agent and a message; a close its moment and its status.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from alertd.clock import Instant
from alertd.reporting.properties import PROPERTIES, Kind
from alertd.reporting.table import Column
from alertd.ruletests.case import Case, Event, Happening, Series
from alertd.sandbox.columns import Coded, Values, encode
from alertd.sandbox.conversations import BOT_STATUSES
from alertd.sandbox.imported import Imported

# One block of conversations: a column, or the one value of all of them, by property.
_Block = dict[str, Any]

# Moments and the durations from the creation to them: either follows from the other.
_SPANS = {"timeToAgentResponseMillis": "firstAgentMessageAt", "timeToCloseMillis": "firstCloseAt"}


def make_world(case: Case) -> Imported:
    """All conversations of the test, numbered 1, 2, 3, ... in the order of the file."""
    blocks, created = [], []
    number = 1
    for series in case.conversations:
        moments = np.repeat(np.array(series.moments, dtype=np.float64), series.count) + case.start
        blocks.append(_complete(series, moments, number))
        created.append(moments)
        number += len(moments)
    sizes = [len(each) for each in created]
    columns = {name: _column(name, [block.get(name) for block in blocks], sizes) for name in PROPERTIES}
    late = _lateness(case, np.concatenate(created)) if created else None
    return Imported(columns, late)


def _complete(series: Series, created: Column, number: int) -> _Block:
    """What is given, and what follows from it. None, where the test takes a value away, stays None."""
    given: _Block = dict(series.values)
    block: _Block = {"id": np.arange(number, number + len(created)), "createdAt": created} | given
    for span, moment in _SPANS.items():
        if given.get(span) is not None:
            block.setdefault(moment, created + given[span])
        elif given.get(moment) is not None:
            block.setdefault(span, given[moment] - created)
    block = _visitor(created) | block
    if block["firstEndUserMessageAt"] is None or block["numEndUserMessages"] == 0:
        block |= {
            "firstEndUserMessageAt": given.get("firstEndUserMessageAt"),
            "numEndUserMessages": given.get("numEndUserMessages", 0),
        }
    return _spoken(_answered(block), created)


def _visitor(created: Column) -> _Block:
    return {"firstEndUserMessageAt": created, "numEndUserMessages": 1, "cqlScore": 0}


def _answered(block: _Block) -> _Block:
    """An answer is a message of an agent; whoever is named alone was the first and the last."""
    first, last = block.get("firstAgentId"), block.get("lastAgentId")
    block.setdefault("firstAgentId", last)
    block.setdefault("lastAgentId", first)
    block.setdefault("numAgentMessages", int(block.get("firstAgentMessageAt") is not None))
    block.setdefault("status", "open" if block.get("firstCloseAt") is None else "closed")
    return block


def _spoken(block: _Block, created: Column) -> _Block:
    """Whether a bot has spoken, an agent, both or nobody, in the end."""
    if block.get("botStatus") in ("BOT_ONLY", "BOT_ASSISTED"):
        block.setdefault("firstBotMessageAt", created)
    bot, agent = (block.get(name) is not None for name in ("firstBotMessageAt", "firstAgentMessageAt"))
    block.setdefault("numBotMessages", int(bot))
    block.setdefault("botStatus", BOT_STATUSES[bot + 2 * agent])
    block.setdefault("updatedAt", _last_event(block, created))
    return block


def _last_event(block: _Block, created: Column) -> Column:
    latest = created
    for name, found in PROPERTIES.items():
        if found.kind is Kind.TIME and block.get(name) is not None:
            latest = np.fmax(latest, block[name])
    return latest


def _column(name: str, parts: Sequence[Any], sizes: Sequence[int]) -> Values:
    if not PROPERTIES[name].numeric:
        coded = encode(list(parts))
        return Coded(np.repeat(coded.codes, sizes), coded.words)
    numbers = [
        np.broadcast_to(np.asarray(np.nan if part is None else part, np.float64), size)
        for part, size in zip(parts, sizes, strict=True)
    ]
    return np.concatenate(numbers) if numbers else np.empty(0)


def _lateness(case: Case, created: Column) -> Column | None:
    """By how much later each conversation becomes visible than it would."""
    events = sorted((each for each in case.during if each.what is Happening.LATE_ROWS), key=lambda each: each.at)
    if not events:
        return None
    late = np.zeros(len(created))
    for each in events:
        late[created >= _instant(case, each)] = each.lasts
    return late


def _instant(case: Case, event: Event) -> Instant:
    return case.start + event.at
