"""How long each alert is known to have been over its limit, counted from verdicts alone (I6)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from alertd.clock import Duration, Instant
from alertd.evaluation.settling import Judged
from alertd.facts import CONVERSATION, Level
from alertd.testing.simulation.looking import Row


class Timers:
    """By rule and group: for how long, and as of when that was known last."""

    def __init__(self) -> None:
        self._held: dict[str, dict[str, tuple[Duration, Instant]]] = {}

    def judged(self, judged: Judged, *, anew: bool, there: Collection[str]) -> Mapping[str, Duration]:
        """Count an evaluation that had evidence: how long each group over its limit has been so.

        `anew`: the rule asks another thing than before. `there` are groups that have an alert: others are forgotten.
        """
        rule, as_of = judged.rule, judged.as_of
        known = {} if anew else self._held.get(rule.id, {})
        verdicts = {each.group.key: each for each in judged.verdicts if each.group.by == rule.by}
        after = dict[str, tuple[Duration, Instant]]()
        for key, (held, last) in known.items():
            if key not in verdicts and key in there and rule.by != CONVERSATION:
                after[key] = (held, as_of)
            elif key in verdicts and verdicts[key].level is None:
                after[key] = (held, last)
        for key, verdict in verdicts.items():
            if verdict.level not in (None, Level.OK):
                held, last = known.get(key, (0, as_of))
                after[key] = (held + max(0, min(as_of - last, rule.every)), as_of)
        self._held[rule.id] = after
        return {key: held for key, (held, _) in after.items() if key in verdicts and verdicts[key].level is not None}

    def forget(self, rule: str) -> None:
        """The rule is no more."""
        self._held.pop(rule, None)

    def adopt(self, alerts: Iterable[Row]) -> None:
        """Take over what the store says."""
        self._held = {}
        for row in alerts:
            if row["judged_at"] is not None:
                self._held.setdefault(row["rule"], {})[row["group"]] = (row["held"], row["judged_at"])
