"""Reports: told at every check, never an incident. One that could not be made says so: silence would look like good news."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import sqlalchemy as sa

from alertd.clock import Instant
from alertd.facts import Evidence, Group, Kind, Level, Verdict
from alertd.notice import LISTED, Notice, NoticeGroup
from alertd.notices import silences
from alertd.notices.composing import outline, spell_compared
from alertd.notices.muting import mute
from alertd.notices.recording import Outcome
from alertd.notices.telling import tell
from alertd.notices.trails import points_of
from alertd.rulebook.rule import Rule, Rulebook

TEMPLATE = "report"  # the look of a report that names no other

_FAILED = (Evidence.ERROR, Evidence.STALE)


def report(
    transaction: sa.Connection,
    rule: Rule,
    verdicts: Sequence[Verdict],
    book: Rulebook,
    *,
    at: Instant,
    now: Instant,
    trail: str | None = None,
) -> Outcome:
    """Write the report that a check makes and its deliveries; nobody is told while the rule is silenced.

    `at` is the moment the data speak of, `now` when the deliveries are due, `trail` what earlier reports said.
    """
    if reason := mute(rule, Group(), Level.OK, now, silenced=silences.active(transaction, now)):
        return Outcome(untold=reason)
    targets = book.told(rule, Level.OK)
    if not targets:
        return Outcome(untold="no receiver is named for this report")
    notice = replace(compose_report(rule, verdicts, at), revision=book.revision, trail=points_of(trail))
    tell(transaction, notice, dict.fromkeys(targets, Kind.REPORT), {}, now)
    return Outcome(Kind.REPORT)


def compose_report(rule: Rule, verdicts: Sequence[Verdict], at: Instant) -> Notice:
    """The report on every group that a check has judged, the highest value first; or why there is none."""
    first = verdicts[0]
    outlined = replace(
        outline(rule, Kind.REPORT, at),
        template=rule.template or TEMPLATE,
        period=(first.window.start, first.window.end),
        window=first.window.length,
        reason=first.reason,
    )
    if all(each.evidence in _FAILED for each in verdicts):
        text = f"This report could not be made: {first.reason.rstrip('.')}. The next one comes at its usual time."
        return replace(outlined, text=text)
    found = sorted((each for each in verdicts if each.group.by == rule.by), key=lambda each: _order(rule, each))
    made = replace(outlined, conversations=sum(each.conversations for each in verdicts))
    if rule.by is None and found:
        return _whole(made, rule, found[0])
    return replace(made, groups=tuple(_group(rule, each) for each in found[:LISTED]), groups_total=len(found))


def _whole(notice: Notice, rule: Rule, verdict: Verdict) -> Notice:
    return replace(
        notice,
        value=verdict.value,
        comparison=spell_compared(rule, verdict.value, verdict.measured, verdict.reference),
        measured=verdict.measured,
        reference=verdict.reference,
        groups=(_group(rule, verdict),),
        groups_total=1,
    )


def _group(rule: Rule, verdict: Verdict) -> NoticeGroup:
    return NoticeGroup(
        by=verdict.group.by,
        id=verdict.group.id,
        level=Level.OK,
        value=verdict.value,
        limit=None,
        since=0,
        conversations=verdict.conversations,
        comparison=spell_compared(rule, verdict.value, verdict.measured, verdict.reference),
        note="" if verdict.evidence is Evidence.OK else verdict.reason,
    )


def _order(rule: Rule, verdict: Verdict) -> tuple[float, str]:
    """The worst first, those without a value last."""
    badness = math.inf if verdict.value is None else -rule.badness(verdict.value)
    return badness, verdict.group.key
