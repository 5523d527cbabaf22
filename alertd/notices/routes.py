"""Who may ever be told of a rule."""

from __future__ import annotations

from alertd.facts import Level
from alertd.rulebook.rule import Rule, Rulebook


def receivers_of(book: Rulebook, rule: Rule) -> tuple[str, ...]:
    """The names of all receivers of a rule at any level, those of its escalation too, as far as they exist."""
    told = (name for level in Level for name in book.told(rule, level))
    names = (*told, *(rule.escalate.to if rule.escalate else ()))
    return tuple(name for name in dict.fromkeys(names) if name in book.receivers)
