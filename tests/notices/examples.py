"""Incidents, a report and a trouble as their notices tell them, in every kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from alertd.clock import HOUR, MINUTE, SECOND, parse_instant
from alertd.facts import CONVERSATION, Kind, Level
from alertd.notice import Notice, NoticeGroup
from alertd.units import Unit

AT = parse_instant("2026-11-04T12:40:00Z")
NAMES = {671: "Priya Shah", 672: "Tom Reed", 673: "Ana Núñez"}


def names(_by: str, number: int) -> str | None:
    return NAMES.get(number)


def group(number: int | None, value: float, *, by: str | None = "lastAgentId", limit: float = 5.0 * MINUTE) -> NoticeGroup:
    critical = value > 2 * limit
    return NoticeGroup(
        by=by,
        id=number,
        level=Level.CRITICAL if critical else Level.WARNING,
        value=value,
        limit=limit,
        since=AT - 34 * MINUTE,
        conversations=12,
        examples=(9_001_112, 9_001_118, 9_001_120, 9_001_125),
    )


SLOW = Notice(
    kind=Kind.OPENED,
    rule="support.first-answer",
    title="First answers are slow",
    measure="median time to the first answer",
    unit=Unit.DURATION,
    direction="above",
    level=Level.CRITICAL,
    previous=None,
    incident=12,
    at=AT,
    opened_at=AT - 29 * MINUTE,
    resolved_at=None,
    window=HOUR,
    value=7.0 * MINUTE + 12 * SECOND,
    limit=5.0 * MINUTE,
    recover=4.0 * MINUTE,
    peak=9.0 * MINUTE + 3 * SECOND,
    conversations=34,
    reason="over the limit for long enough",
    groups=(group(None, 7.2 * MINUTE, by=None),),
    groups_total=1,
    description="Ask in #support-duty who can help out.\nIf nobody can, switch the widget to “leave a message”.",
    runbook="https://wiki.example.com/support/slow-answers?from=alertd&lang=en",
    owner="support-ops",
    labels={"team": "support"},
    revision="8c1f0a2b9d77",
    page="https://alertd.example.com/incidents/12",
)

AGENTS = replace(
    SLOW,
    rule="support.agents",
    title="Agents answer slowly",
    by="lastAgentId",
    value=22.0 * MINUTE,
    peak=22.0 * MINUTE,
    groups=(group(671, 22.0 * MINUTE), group(672, 18.0 * MINUTE), replace(group(999, 6.0 * MINUTE), new=True)),
    groups_total=3,
)

WAITING = replace(
    SLOW,
    rule="support.waiting",
    title="Visitors wait for an answer",
    measure="longest wait for the first answer",
    level=Level.WARNING,
    by=CONVERSATION,
    value=12.0 * MINUTE,
    limit=10.0 * MINUTE,
    recover=None,
    peak=None,
    groups=tuple(group(9_001_000 + n, (12.0 - n / 10) * MINUTE, by=CONVERSATION, limit=10.0 * MINUTE) for n in range(20)),
    groups_total=27,
)

SHARE = replace(
    SLOW,
    rule="sales.answered",
    title="Too few chats are answered",
    measure="share of conversations with an answer",
    unit=Unit.FRACTION,
    direction="below",
    level=Level.WARNING,
    value=0.612,
    limit=0.8,
    recover=0.85,
    peak=0.58,
    description=None,
    runbook=None,
    page=None,
    owner=None,
    revision=None,
)

COUNT = replace(
    SLOW,
    rule="sales.rush",
    title="Unusually many conversations",
    measure="number of conversations",
    unit=Unit.NUMBER,
    value=1204.0,
    limit=1000.0,
    recover=None,
    peak=1204.0,
    conversations=1204,
    groups=(),
    groups_total=0,
)

DROP = replace(
    SLOW,
    rule="sales.drop",
    title="Far fewer conversations than a week ago",
    measure="number of conversations against the same time a week ago",
    unit=Unit.FRACTION,
    direction="below",
    value=-0.62,
    limit=-0.5,
    recover=None,
    peak=-0.7,
    conversations=38,
    measured=38.0,
    reference=100.0,
    comparison="-62 % (38 now, 100 a week ago)",
    groups=(),
    groups_total=0,
)

UNUSUAL = replace(
    DROP,
    rule="sales.unusual",
    title="Unusual number of conversations",
    measure="number of conversations against the usual at this hour of the week",
    unit=Unit.NUMBER,
    direction="outside",
    value=5.2,
    limit=4.0,
    recover=3.0,
    peak=-6.0,
    measured=152.0,
    comparison="5.2 deviations above the usual 100 (now 152)",
)


def reported(number: int, value: float | None, count: int, note: str = "") -> NoticeGroup:
    return replace(
        group(number, value or 0.0), level=Level.OK, value=value, limit=None, conversations=count, examples=(), note=note
    )


REPORT = replace(
    SLOW,
    kind=Kind.REPORT,
    rule="morning-report",
    title="Yesterday in numbers",
    level=Level.OK,
    incident=None,
    by="lastAgentId",
    value=None,
    limit=None,
    recover=None,
    peak=None,
    conversations=172,
    period=(parse_instant("2026-11-02T23:00:00Z"), parse_instant("2026-11-03T23:00:00Z")),
    timezone="Europe/Berlin",
    template="report",
    groups=(
        reported(671, 7.2 * MINUTE, 80),
        reported(673, 4.0 * MINUTE, 91),
        reported(672, None, 1, "nothing to measure: no conversation has a value"),
    ),
    groups_total=3,
    description=None,
    runbook=None,
    page=None,
)

FAILED_REPORT = replace(
    REPORT,
    groups=(),
    groups_total=0,
    conversations=0,
    text="This report could not be made: the API refuses the token (401). The next one comes at its usual time.",
)

OWN = replace(
    SLOW,
    rule="alertd-source",
    title="alertd gets no answers",
    measure="",
    unit=Unit.NUMBER,
    level=Level.WARNING,
    window=0,
    value=None,
    limit=None,
    recover=None,
    peak=None,
    conversations=0,
    reason="",
    groups=(),
    groups_total=0,
    description=None,
    runbook=None,
    page=None,
    owner=None,
    labels={},
    text=(
        "12 of 40 rules get no complete answer, so nothing changes for them: what fires stays, and nothing new is told. "
        "a, b, c, d, e and 7 more: the API refuses the token (401)."
    ),
)

EXAMPLES: Mapping[str, Notice] = {
    "slow": SLOW,
    "agents": AGENTS,
    "waiting": WAITING,
    "share": SHARE,
    "count": COUNT,
    "drop": DROP,
    "unusual": UNUSUAL,
}


def of_kind(notice: Notice, kind: Kind) -> Notice:
    """The same incident at the moment of such a notice."""
    if kind is Kind.RESOLVED:
        calm = None if notice.value is None else notice.value / 2
        return replace(
            notice, kind=kind, resolved_at=AT, groups=(), groups_total=0, value=calm, limit=notice.limit, reason="recovered"
        )
    if kind is Kind.CHANGED:
        return replace(notice, kind=kind, previous=Level.WARNING)
    return replace(notice, kind=kind)
