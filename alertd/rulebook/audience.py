"""Who is told of a rule: whether everybody named exists, and whether anybody is named."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from alertd.facts import Level
from alertd.reporting.properties import suggest
from alertd.rulebook.checks import Draft
from alertd.rulebook.located import Trail
from alertd.rulebook.misfit import few, show
from alertd.rulebook.problems import Problem
from alertd.rulebook.relations import Known
from alertd.rulebook.rule import Route, Rule


def told(draft: Draft) -> dict[Level, tuple[str, ...]]:
    """Who is told of each of the rule's levels, routes aside."""
    named = draft.entry.notify or ()
    by_level = named if isinstance(named, Mapping) else dict.fromkeys(draft.levels, named)
    return {level: tuple(dict.fromkeys(by_level.get(level, ()))) for level in draft.levels}


def strangers(draft: Draft, known: Known) -> Iterator[Problem]:
    """Names that are nobody's."""
    if known.receivers is None:
        return
    for steps, name in _named(draft):
        if name not in known.receivers:
            meant = suggest(name, known.receivers)
            there = f"; {known.none('receivers')}" if not known.receivers else "" if meant else few(known.receivers)
            yield Problem(f"there is no receiver {show(name)}{there}", draft.trail(str(steps[0]), *steps[1:]), meant)


def unheard(draft: Draft, rule: Rule, routes: Collection[Route]) -> Iterator[Problem]:
    """Levels of which nobody is told: no receiver of the rule's own, and no route."""
    routed = {level for level in rule.notify for route in routes if route.matches(rule, level)}
    lacking = [level for level, names in rule.notify.items() if not names and level not in routed]
    if not lacking:
        return
    trail = draft.trail("notify") if draft.entry.notify is not None else ("rules", draft.index)
    message = f"nobody receives {lacking[0].value}; name a receiver for it under notify"
    if len(lacking) == len(draft.levels):
        message = _of_all(draft)
    yield Problem(message, trail, severity="warning")


def _of_all(draft: Draft) -> str:
    if draft.entry.report and isinstance(draft.entry.notify, Mapping):
        return "nobody receives this report: it has no levels, so name its receivers without them, such as notify: team-mail"
    if draft.entry.escalate is not None:
        return 'nobody receives this rule until it is escalated, so nobody can acknowledge it; add "notify"'
    return 'nobody receives this rule; add "notify", here or under defaults'


def _named(draft: Draft) -> Iterator[tuple[Trail, str]]:
    """Every receiver that the rule names, and where."""
    named = draft.entry.notify or ()
    groups: dict[Trail, tuple[str, ...]] = {("notify",): named} if not isinstance(named, Mapping) else {}
    if isinstance(named, Mapping):
        groups = {("notify", level.value): names for level, names in named.items()}
    if draft.entry.escalate is not None:
        groups["escalate", "notify"] = draft.entry.escalate.notify or ()
    for steps, names in groups.items():
        yield from (((*steps, index), name) for index, name in enumerate(names))
