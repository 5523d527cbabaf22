"""An explanation as plain data: instants as ISO 8601, durations in milliseconds."""

from __future__ import annotations

from typing import Any

from alertd.clock import Instant, iso
from alertd.evaluation import reasons
from alertd.evaluation.episodes import Delivered, Episode, Told
from alertd.evaluation.explaining import Explanation
from alertd.evaluation.ledger import Decided
from alertd.evaluation.retelling import untold
from alertd.evaluation.timeline import Entry


def to_json(found: Explanation) -> dict[str, Any]:
    """Write it for programs."""
    return {
        "rule": found.question.rule,
        "known_from": found.source.name.lower(),
        "about": reasons.about(found.rule) if found.rule else None,
        "title": found.rule.title if found.rule else None,
        "file": found.rule.file if found.rule else None,
        "line": found.rule.line if found.rule else None,
        "owner": found.rule.owner if found.rule else None,
        "at": iso(found.at),
        "group": found.group.to_json() if found.group is not None else None,
        "summary": reasons.headline(found),
        "notes": reasons.notes(found),
        "state": found.state.value if found.state else None,
        "before": found.before.value if found.before else None,
        "held": found.held,
        "decision": _record_json(found.record) if found.record else None,
        "not_told": list(untold(found)),
        "incident": _episode_json(found.episode) if found.episode else None,
        "groups": [_record_json(each.record) for each in found.standings],
        "timeline": [_entry_json(each) for each in found.timeline],
        "since": _entry_json(found.since) if found.since else None,
        "next_check": iso(found.next_check) if found.next_check is not None else None,
        "daemon": found.daemon,
    }


def _record_json(record: Decided) -> dict[str, Any]:
    return {
        "group": record.group.to_json(),
        "first_at": iso(record.first_at),
        "last_at": iso(record.last_at),
        "checks": record.evaluations,
        "evidence": record.evidence.value,
        "level": record.level.value if record.level else None,
        "state": record.state.value,
        "change": record.change,
        "told": record.told,
        "untold": record.untold,
        "value": record.value,
        "measured": record.measured,
        "reference": record.reference,
        "conversations": record.conversations,
        "entered": record.entered,
        "window": {"from": iso(record.window.start), "to": iso(record.window.end)},
        "reason": record.reason,
        "revision": record.revision,
    }


def _entry_json(entry: Entry) -> dict[str, Any]:
    if isinstance(entry, Decided):
        return _record_json(entry)
    return {"from": iso(entry.start), "to": iso(entry.end), "gap": entry.cause.value, "missing": entry.missing}


def _episode_json(episode: Episode) -> dict[str, Any]:
    return {
        "id": episode.number,
        "opened_at": _moment(episode.opened_at),
        "closed_at": _moment(episode.closed_at),
        "level": episode.level.value if episode.level else None,
        "muted": episode.muted,
        "told_at": _moment(episode.told_at),
        "escalated_at": _moment(episode.escalated_at),
        "acknowledged_at": _moment(episode.acknowledged_at),
        "acknowledged_by": episode.acknowledged_by,
        "notices": [_told_json(each) for each in episode.told],
    }


def _told_json(told: Told) -> dict[str, Any]:
    notice = told.notice
    return {
        "kind": notice.kind.value,
        "at": iso(notice.at),
        "level": notice.level.value,
        "muted": notice.muted,
        "deliveries": [_delivery_json(each) for each in told.deliveries],
    }


def _delivery_json(each: Delivered) -> dict[str, Any]:
    return {
        "receiver": each.receiver,
        "via": each.via,
        "kind": each.kind,
        "state": each.state,
        "attempts": each.attempts,
        "due_at": iso(each.due_at),
        "sent_at": _moment(each.sent_at),
        "error": each.error,
    }


def _moment(at: Instant | None) -> str | None:
    return iso(at) if at is not None else None
