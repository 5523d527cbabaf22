"""What a template can use: plain texts and numbers, made from a notice. VARIABLES is its documentation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeAlias

from alertd.charts import facts
from alertd.durations import spell_duration
from alertd.facts import CONVERSATION
from alertd.notice import LISTED, Notice, NoticeGroup
from alertd.notices import doing, markup, wording
from alertd.notices.charting import chart_of
from alertd.notices.wording import Names

Context: TypeAlias = Mapping[str, Any]
_QUOTED = str.maketrans("<>", "‹›")
EXAMPLES = 3  # conversations named for one group

VARIABLES: Mapping[str, str] = {
    "kind": "Why there is this message: opened, changed, reminder, escalated, resolved, report, refreshed or test.",
    "icon": "A picture for the state: 🚨, ⚠️, ✅, 📊 or 🔔.",
    "status": "The state in a word or two: Critical, Still critical, Warning, Escalated, Resolved, Report or Test.",
    "level": "critical, warning or ok; of the worst moment once it is resolved.",
    "previous": "The level before, where it changed; else empty.",
    "title": "The rule's title.",
    "headline": "The whole news in one line: title, number, limit.",
    "summary": "What was measured and how it stands, in a sentence or two.",
    "news": "What is new in this message, for a reply below the first one.",
    "followup": "True when people have been told of this incident before.",
    "rule": "The rule's id.",
    "revision": "The rulebook's commit; empty where it is not known.",
    "incident": "The incident's number; 0 for a report, which belongs to none.",
    "acknowledged": "Who has said that they have it; may be empty.",
    "silenced": 'Until when and by whom it is silenced: "until 15:00 UTC by Priya"; else empty.',
    "command": 'What to type to acknowledge it: "alertd ack 12"; empty once somebody has, and where it is over.',
    "actions": 'What can be done from the message: "acknowledge, silence 1h, silence 4h, open"; less of it, or empty.',
    "address": "Where to look first: `page`, else the conversation that stands out most; may be empty: {{ address|address }}.",
    "chart": "The title of the picture that goes with it; empty where there is none.",
    "chart_facts": "The title and what the picture shows, in words, for those who cannot see it.",
    "late": 'For how long the message could not be sent: "34 min"; empty up to 10 minutes.',
    "owner": "Who owns the rule; may be empty.",
    "labels": "The rule's labels, by name.",
    "description": "What to do, in the rule author's words; may be empty and have several lines.",
    "runbook": "The address of the runbook, if it is an http(s) address; else empty.",
    "page": "The address of the incident on alertd's own page; may be empty.",
    "measure": 'What is measured, in words: "median time to the first answer".',
    "value": (
        'The number now, of the worst group, with its unit: "7 min 12 s"; of a comparison with what it is compared: '
        '"-62 % (38 now, 100 a week ago)"; empty where there is none.'
    ),
    "measured": "Of a comparison: what was measured now, with its unit; else empty.",
    "reference": "Of a comparison: what that was compared with, with its unit; else empty.",
    "limit": "The limit that it passed, with its unit; may be empty.",
    "limit_word": '"limit", or "minimum" where the number should stay above it.',
    "recover": "Where it counts as recovered, with its unit; may be empty.",
    "peak": "The worst number of the incident, with its unit; may be empty, as when that of a comparison is now.",
    "period": 'What a report is about: "Tuesday 3 November 2026"; else empty.',
    "timezone": "Whose days and hours those of the period are.",
    "window": 'How much time the number is made of: "1 h".',
    "conversations": "How many conversations the number is made of.",
    "at": "The moment that the numbers speak of, in milliseconds since 1970; print it with `|time`.",
    "opened_at": "When the incident was opened; print it with `|time`.",
    "resolved_at": "When it was resolved; print it with `|time`; 0 while it goes on.",
    "since": "Since when it has been over the limit; print it with `|time`.",
    "lasted": 'For how long: "34 min"; empty when it has only begun.',
    "reopened": "True when the incident was over and is back.",
    "reason": "Why the state is what it is, in words.",
    "by": "What the groups are: agent, playbook, conversation ...; empty where the rule has no groups.",
    "groups": (
        "The groups that are over the limit, in a report all, worst first: name, url (of a conversation; else empty), value, "
        "limit, level, since (print it with `|time`), conversations (how many), examples (each with id and url), new (true or "
        "false), note (in a report: what is to be known about the value; may be empty)."
    ),
    "groups_total": "How many groups there are, listed or not.",
    "groups_word": '"agent" or "agents", and so on, to go with `groups_total`.',
    "examples": "Without groups: the conversations that stand out most, each with id and url.",
}


def context(notice: Notice, names: Names) -> Context:
    """All VARIABLES, of a notice whose texts have been made harmless."""
    told = tidy(notice)

    def known(by: str, number: int) -> str | None:
        name = names(by, number)
        return markup.line(name, 80) or None if name else None

    return _words(told, known) | _doing(told) | _figures(told) | _times(told) | _groups(told, known) | _picture(told, known)


def tidy(notice: Notice) -> Notice:
    """The notice with every text of it cleaned and bounded."""
    return replace(
        notice,
        rule=markup.line(notice.rule, 120),
        title=markup.line(notice.title, 200) or "Alert",
        measure=markup.line(notice.measure, 200) or "value",
        reason=markup.line(notice.reason, 300),
        description=markup.clean(notice.description or ""),
        runbook=markup.address(notice.runbook),
        page=markup.address(notice.page),
        owner=markup.line(notice.owner or "", 120),
        labels={markup.line(name, 60): markup.line(text, 120) for name, text in list(notice.labels.items())[:20]},
        revision=markup.line(notice.revision or "", 40),
        text=markup.line(notice.text, 1_500) if notice.text else None,
        comparison=markup.line(notice.comparison, 200),
        worst=markup.line(notice.worst, 200),
        acknowledged=markup.line(notice.acknowledged or "", 80),
        silenced=markup.line(notice.silenced or "", 120),
        groups=tuple(_tidy_group(group) for group in notice.groups[:LISTED]),
        groups_total=max(notice.groups_total, len(notice.groups)),
    )


def _tidy_group(group: NoticeGroup) -> NoticeGroup:
    return replace(group, comparison=markup.line(group.comparison, 200), note=markup.line(group.note, 200))


def conversation(number: int) -> Mapping[str, Any]:
    """A conversation and where to read it."""
    return {"id": number, "url": f"{wording.CONVERSATIONS}{number}"}


def _words(notice: Notice, names: Names) -> dict[str, Any]:
    return {
        "kind": str(notice.kind),
        "icon": wording.icon(notice),
        "status": wording.status(notice),
        "level": str(notice.level),
        "previous": str(notice.previous or ""),
        "title": notice.title,
        "headline": wording.headline(notice, names),
        "summary": wording.summary(notice, names),
        "news": wording.news(notice, names),
        "followup": wording.followup(notice),
        "rule": notice.rule,
        "revision": notice.revision,
        "incident": notice.incident or 0,
        "owner": notice.owner,
        "labels": notice.labels,
        "description": notice.description,
        "runbook": notice.runbook,
        "page": notice.page,
        "reopened": notice.reopened,
        "reason": notice.reason,
    }


def _doing(notice: Notice) -> dict[str, Any]:
    """What people have done about it, and what they can do."""
    return {
        "acknowledged": notice.acknowledged,
        "silenced": notice.silenced,
        "command": doing.command(notice),
        "actions": ", ".join(doing.actions(notice)),
        "address": doing.address(notice),
    }


def _picture(notice: Notice, names: Names) -> dict[str, Any]:
    chart = chart_of(notice, names)
    if chart is None:
        return {"chart": "", "chart_facts": ""}
    title = markup.line(chart.title, 100)
    # Within an attribute a bracket would stay one, which is legal, but nothing that reads HTML in a hurry knows that.
    return {"chart": title, "chart_facts": markup.line(f"{title}. {facts(chart)}", 500).translate(_QUOTED)}


def _figures(notice: Notice) -> dict[str, Any]:
    return {
        "measure": notice.measure,
        "value": wording.amount(notice, notice.unit),
        "measured": wording.spelled(notice.measured, notice.measured_unit),
        "reference": wording.spelled(notice.reference, notice.measured_unit),
        "limit": wording.bound(notice.limit, notice),
        "limit_word": wording.limit_word(notice),
        "recover": wording.bound(notice.recover, notice),
        "peak": wording.peak(notice) if notice.peak != notice.value or not notice.comparison else "",
        "window": spell_duration(notice.window),
        "conversations": notice.conversations,
    }


def _times(notice: Notice) -> dict[str, Any]:
    return {
        "at": notice.at,
        "opened_at": notice.opened_at,
        "resolved_at": notice.resolved_at or 0,
        "since": wording.began(notice),
        "lasted": wording.lasted(notice),
        "chart_facts": "The title and what the picture shows, in words, for those who cannot see it.",
        "late": wording.delay(notice),
        "period": wording.period(notice),
        "timezone": notice.timezone,
    }


def _groups(notice: Notice, names: Names) -> dict[str, Any]:
    groups = [_group(group, notice, names) for group in notice.groups] if notice.by else []
    alone = notice.groups[0].examples if notice.groups and not notice.by else ()
    return {
        "by": wording.noun(notice.by, 1) if notice.by else "",
        "groups": groups,
        "groups_total": notice.groups_total if notice.by else 0,
        "groups_word": wording.noun(notice.by, notice.groups_total) if notice.by else "",
        "examples": [conversation(number) for number in alone[:EXAMPLES]],
    }


def _group(group: NoticeGroup, notice: Notice, names: Names) -> dict[str, Any]:
    single = group.by == CONVERSATION and group.id is not None
    return {
        "name": wording.group_name(group, names),
        "url": f"{wording.CONVERSATIONS}{group.id}" if single else "",
        "value": wording.amount(group, notice.unit),
        "limit": wording.bound(group.limit, notice),
        "level": str(group.level),
        "since": group.since,
        "conversations": group.conversations,
        "examples": [] if single else [conversation(number) for number in group.examples[:EXAMPLES]],
        "new": group.new,
        "note": group.note,
    }
