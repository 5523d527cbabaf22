"""From rules to what they want to know: one plan for all, its requests through the queue, each rule served when it can be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from alertd.clock import MINUTE, SECOND, Duration, Instant
from alertd.errors import AlertdError, BadQuery
from alertd.facts import Level
from alertd.planning.calls import Urgency
from alertd.planning.cutting import Cutter
from alertd.planning.fetching import Answer, Order, Source
from alertd.planning.needs import Need, Needs, needs_of
from alertd.planning.planner import Limits, Plan, Request, alone, make_plan
from alertd.reporting.table import Table
from alertd.rulebook.rule import Rule

# However often a rule is checked, its request gets at least this long to find a free call.
_LEAST_PATIENCE = 5 * SECOND

_Found: TypeAlias = Cutter | AlertdError


@dataclass(frozen=True)
class Wanted:
    """A rule that is to be judged for a due instant."""

    rule: Rule
    at: Instant
    urgency: Urgency | None = None

    @property
    def place(self) -> Urgency:
        """Where its requests stand in the queue: rules that can be critical go first."""
        if self.urgency is not None:
            return self.urgency
        return Urgency.CRITICAL if self.rule.worst is Level.CRITICAL else Urgency.NORMAL

    @property
    def patience(self) -> Duration:
        """How long its requests may wait for a call: half of `every`."""
        return max(self.rule.every // 2, _LEAST_PATIENCE)


@dataclass(frozen=True)
class Answers:
    """What one rule wanted to know, or the problem that kept it from being known. Tables are cut when they are asked for."""

    needs: Needs
    found: dict[Need, _Found]

    @property
    def problem(self) -> AlertdError | None:
        """What went wrong, if anything did."""
        return next((each for each in self.found.values() if isinstance(each, AlertdError)), None)

    def selection(self) -> Table:
        """The selected conversations."""
        return self._cut(self.needs.selection)

    def numerator(self) -> Table | None:
        """Those of a share's own query."""
        return self._cut(self.needs.numerator) if self.needs.numerator else None

    def _cut(self, need: Need) -> Table:
        found = self.found[need]
        if isinstance(found, AlertdError):
            raise found
        return found.cut(need)


def affordable(rules: Iterable[Rule], usable: int) -> int:
    """How many calls these rules may take together so that they can be checked again and again without falling behind."""
    shortest = min((each.every for each in rules), default=MINUTE)
    return max(1, usable * shortest // MINUTE)


class Asking:
    """One plan on its way. After `answers` has ended, `plan` and `found` tell what was asked and came."""

    def __init__(self, source: Source, wanted: Sequence[Wanted]) -> None:
        self._source = source
        self._wanted = {each.rule.id: each for each in wanted}
        self._needs = {each.rule.id: needs_of(each.rule, each.at - each.rule.delay) for each in wanted}
        everything = [need for needs in self._needs.values() for need in needs.all()]
        self.plan: Plan = make_plan(
            everything, source.knowledge, Limits(most_calls=affordable((each.rule for each in wanted), source.budget.usable))
        )
        self._serves: dict[Request, list[Need]] = {}
        for need, request in self.plan.answered_by.items():
            self._serves.setdefault(request, []).append(need)
        self.found: dict[Need, _Found] = {}

    def answers(self) -> Iterator[tuple[str, Answers]]:
        """Each rule with its answers, as soon as all of them are there."""
        waiting = {rule: set(needs.all()) for rule, needs in self._needs.items()}
        askers: dict[Need, list[str]] = {}
        for rule, needs in waiting.items():
            for need in needs:
                askers.setdefault(need, []).append(rule)
        orders = self._orders(self._serves)
        while orders:
            apart: dict[Request, list[Need]] = {}
            for request, answer in self._source.fetch(orders):
                for need in self._take(request, answer, apart):
                    for rule in askers[need]:
                        waiting[rule].discard(need)
                        if not waiting[rule]:
                            yield rule, self._of(rule)
            self._serves = apart
            orders = self._orders(apart)

    def _take(self, request: Request, answer: Answer, apart: dict[Request, list[Need]]) -> list[Need]:
        """Note an answer for the needs it serves. A query that the API refuses is taken apart: only who spoilt it pays."""
        served = self._serves[request]
        if isinstance(answer, BadQuery):
            for need in served:
                if alone(need) == request:
                    self._source.knowledge.keep_apart(need.selection)
                else:
                    apart.setdefault(alone(need), []).append(need)
            served = [need for need in served if alone(need) == request]
        found: _Found = Cutter(request, answer) if isinstance(answer, Table) else answer
        self.found |= dict.fromkeys(served, found)
        return served

    def _of(self, rule: str) -> Answers:
        needs = self._needs[rule]
        return Answers(needs, {need: self.found[need] for need in needs.all()})

    def _orders(self, serves: Mapping[Request, Sequence[Need]]) -> list[Order]:
        """Each request as urgent, and as patient, as the most demanding of the rules that it serves."""
        uptime = self._source.clock.uptime()
        demands: dict[Need, tuple[Duration, Urgency]] = {}
        for rule, needs in self._needs.items():
            wanted = self._wanted[rule]
            for need in needs.all():
                patience, place = demands.get(need, (wanted.patience, wanted.place))
                demands[need] = (min(patience, wanted.patience), min(place, wanted.place))
        return [
            Order(request, uptime + min(demands[n][0] for n in needs), min(demands[n][1] for n in needs))
            for request, needs in serves.items()
        ]
