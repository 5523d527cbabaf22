"""Routes that no rule goes: what they match is known only with all rules."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from alertd.facts import Level
from alertd.reporting.properties import suggest
from alertd.rulebook.findings import Finding
from alertd.rulebook.misfit import few
from alertd.rulebook.receivers import Roster
from alertd.rulebook.rule import Route, Rule

_LIKE_LEVELS = ("severity", "priority")  # labels that other tools keep the level in


def idle_routes(roster: Roster, rules: Collection[Rule]) -> Iterator[Finding]:
    """A finding for each route that no incident of these rules can ever match."""
    for route, place in zip(roster.routes, roster.matches, strict=True):
        if rules and not any(route.matches(rule, level) for rule in rules for level in _levels(rule)):
            message, meant = _why(route, rules)
            yield replace(place, message=f"nothing goes this way: {message}", suggestion=meant)


def _levels(rule: Rule) -> set[Level]:
    """The levels that its notices can have."""
    return {*rule.notify, *(limit.level for limit in rule.limits), *([rule.no_data] if rule.no_data else [])}


def _why(route: Route, rules: Collection[Rule]) -> tuple[str, str | None]:
    """What no rule has, and what was probably meant."""
    for name, value in route.labels.items():
        if name in _LIKE_LEVELS and value in (Level.WARNING, Level.CRITICAL) and not any(name in each.labels for each in rules):
            return f"no rule has a label {name}; the level of an incident is matched by level", f"level: {value}"
        found = {each.labels[name] for each in rules if name in each.labels}
        if value not in found:
            meant = suggest(value, found)
            return f"no rule has the label {name}: {value}{'' if meant else few(found)}", meant
    owners = {each.owner for each in rules if each.owner}
    if route.owner is not None and route.owner not in owners:
        meant = suggest(route.owner, owners)
        return f"no rule has the owner {route.owner}{'' if meant else few(owners)}", meant
    return "no rule has all of this together", None
