"""Stored notices of a rule, to be looked at again."""

from __future__ import annotations

import sqlalchemy as sa

from alertd.facts import Kind
from alertd.notice import Notice, from_json
from alertd.store.tables import incidents, notices

_REPORTS = 500  # so many of the newest are looked through: reports belong to no incident, so that nothing leads to them


def newest_of_rule(transaction: sa.Connection, rule: str, kind: Kind | None = None) -> Notice | None:
    """The newest notice of a rule that people may have been told, of that kind where one is given; None if there is none."""
    wanted = notices.c.kind == kind.value if kind else notices.c.kind != Kind.REFRESHED.value
    told = sa.select(notices.c.body).where(wanted).order_by(notices.c.id.desc())
    ours = told.join(incidents, incidents.c.id == notices.c.incident).where(incidents.c.rule == rule)
    body = transaction.scalar(ours.limit(1))
    if body:
        return from_json(body)
    reports = transaction.scalars(told.where(notices.c.incident.is_(None)).limit(_REPORTS))
    return next((each for each in map(from_json, reports) if each.rule == rule), None)
