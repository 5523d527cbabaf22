"""Many notices in one message: when they come faster than a receiver can be told one by one, or all at once after a pause.

Nobody reads thirty-seven messages. A digest says how many there are and how bad, and lists the most urgent, a line each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from alertd.clock import Duration
from alertd.errors import TemplateError
from alertd.facts import Kind, Level
from alertd.notice import Notice
from alertd.notices import builtin, markup, wording
from alertd.notices.context import Context, tidy
from alertd.notices.markup import PLAIN
from alertd.notices.rendering import DIGEST, STYLES, UPTIME, fill
from alertd.notices.wording import Names, counted

LISTED = 40
WIDTH = 140  # characters of one line

DIGEST_VARIABLES: Mapping[str, str] = {
    "kind": "Always digest.",
    "icon": "A picture for the worst state: 🚨, ⚠️, ✅ or 📊.",
    "status": 'What it is: "Summary".',
    "level": "critical or warning, of the worst that is open; ok where nothing is.",
    "headline": 'How many there are and how bad: "37 alerts: 3 critical, 30 warning, 4 resolved".',
    "summarised": 'Why they come together, in a sentence: "They came faster than one message a second."',
    "lines": (
        "The most urgent, 40 at most: icon, status, headline, rule, incident (its number; 0 for a report), level, kind, "
        "page (its address on alertd's own page; may be empty)."
    ),
    "total": "How many there are, listed or not. Several messages about one incident count once.",
    "open": "How many of them are incidents that are still open.",
    "at": "The newest moment that any of them speaks of; print it with `|time`.",
    "late": 'For how long the oldest could not be sent: "34 min"; empty up to 10 minutes.',
}

# What is told first of what is equally bad. `escalated` is an opening for whoever is told.
_ORDER = (Kind.OPENED, Kind.ESCALATED, Kind.CHANGED, Kind.REMINDER, Kind.REFRESHED, Kind.RESOLVED, Kind.REPORT)
_NEWS = (Kind.OPENED, Kind.ESCALATED)
_TOO_FAST = "They came too fast to be told one by one."


def render_digest(
    kind: str,
    notices: Sequence[Notice],
    *,
    names: Names,
    folders: Sequence[Path],
    uptime: Callable[[], Duration] = UPTIME,
    reason: str = "",
) -> Mapping[str, str]:
    """Render notices as one message for one kind of channel; TemplateError says which file and line fails.

    `notices` are one or more, oldest first, each with its kind as this receiver is told it; `reason` is a sentence that says
    why they come together. The parts are the blocks of `digest/<kind>.j2`, and `worse`: "yes" if any of them is worse.
    """
    told = gather(notices)
    values = digest_context(told, names, reason)
    return fill(kind, values, DIGEST, folders=folders, uptime=uptime) | _facts(told)


def render_digest_or_plain(
    kind: str,
    notices: Sequence[Notice],
    *,
    names: Names,
    folders: Sequence[Path],
    uptime: Callable[[], Duration] = UPTIME,
    reason: str = "",
) -> Mapping[str, str]:
    """The same; when the template fails, the built-in plain text, which says so (I11), and the part `failure`."""
    try:
        return render_digest(kind, notices, names=names, folders=folders, uptime=uptime, reason=reason)
    except TemplateError as problem:
        told, failure = gather(notices), markup.line(str(problem))
        values = digest_context(told, names, reason)
        return builtin.digest(STYLES.get(kind, PLAIN), values, failure) | _facts(told) | {"failure": failure}


def gather(notices: Sequence[Notice]) -> tuple[Notice, ...]:
    """Each incident once, as it stands now, and each report; the most urgent first.

    An incident that was opened in between is news, whatever came of it since; unless it is over.
    """
    newest: dict[object, Notice] = {}
    for place, notice in enumerate(notices):
        key: object = notice.incident or (None, place)
        newest[key] = _together(newest[key], notice) if key in newest else notice
    return tuple(sorted(newest.values(), key=_urgency))


def digest_context(told: Sequence[Notice], names: Names, reason: str = "") -> Context:
    """All DIGEST_VARIABLES, of notices as `gather` gives them."""

    def known(by: str, number: int) -> str | None:
        name = names(by, number)
        return markup.line(name, 80) or None if name else None

    open_ones = [notice for notice in told if wording.goes_on(notice)]
    level = max((notice.level for notice in open_ones), key=lambda each: each.rank, default=Level.OK)
    late = max(told, key=lambda notice: notice.late)
    return {
        "kind": str(Kind.DIGEST),
        "icon": wording.ICONS[level] if open_ones else wording.icon(told[0]),
        "status": "Summary",
        "level": str(level),
        "headline": headline(told),
        "summarised": _sentence(reason) or _TOO_FAST,
        "lines": [_line(tidy(notice), known) for notice in told[:LISTED]],
        "total": len(told),
        "open": len(open_ones),
        "at": max(notice.at for notice in told),
        "late": wording.delay(late),
    }


def headline(told: Sequence[Notice]) -> str:
    """How many there are and how bad: `37 alerts: 3 critical, 30 warning, 4 resolved`, `2 alerts and 1 report: 2 resolved`."""
    states = Counter(_state(notice) for notice in told)
    reports = states.pop("report", 0)
    alerts = states.total()
    what = " and ".join(counted(count, word) for count, word in ((alerts, "alert"), (reports, "report")) if count)
    how = ", ".join(f"{states[state]:,} {state}" for state in ("critical", "warning", "resolved") if states[state])
    return f"{what}: {how}" if how else what


def _together(before: Notice, after: Notice) -> Notice:
    """What a receiver that was told of neither has to know of both."""
    news = before.kind in _NEWS and after.kind is not Kind.RESOLVED
    return replace(after, kind=before.kind, reopened=before.reopened, late=max(before.late, after.late)) if news else after


def _urgency(notice: Notice) -> tuple[bool, bool, int, int, int]:
    """What goes on before what is over, and reports last; then the worse level, what is new, the older."""
    kind = _ORDER.index(notice.kind) if notice.kind in _ORDER else len(_ORDER)
    over = not wording.goes_on(notice)
    return over, notice.kind is Kind.REPORT, 0 if over else -notice.level.rank, kind, notice.opened_at


def _state(notice: Notice) -> str:
    if notice.kind is Kind.REPORT:
        return "report"
    return str(notice.level) if wording.goes_on(notice) else "resolved"


def _line(notice: Notice, names: Names) -> dict[str, Any]:
    return {
        "icon": wording.icon(notice),
        "status": wording.status(notice),
        "headline": markup.line(wording.headline(notice, names), WIDTH),
        "rule": notice.rule,
        "incident": notice.incident or 0,
        "level": str(notice.level),
        "kind": str(notice.kind),
        "page": notice.page,
    }


def _sentence(reason: str) -> str:
    text = markup.line(reason)
    return f"{text.rstrip('.')}." if text else ""


def _facts(told: Sequence[Notice]) -> dict[str, str]:
    """What a channel needs to know of a digest besides its text."""
    worse = any(wording.worse(notice) and wording.goes_on(notice) for notice in told)
    return {"rule": "", "incident": "", "worse": "yes" if worse else "", "followup": ""}
