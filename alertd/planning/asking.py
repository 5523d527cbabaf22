"""From rules to what they want to know: one plan for all, its requests through the queue, each rule served when it can be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from alertd.clock import Duration
from alertd.errors import AlertdError, BadQuery
from alertd.planning.cutting import Cutter
from alertd.planning.demand import Urgency, Wanted, affordable
from alertd.planning.fetching import Answer, Order, Source
from alertd.planning.knowledge import Knowledge
from alertd.planning.needs import Need, Needs, needs_of
from alertd.planning.planner import Limits, Plan, Request, alone, make_plan
from alertd.reporting.table import Table

_Found: TypeAlias = Cutter | AlertdError


@dataclass(frozen=True)
class Answers:
    """What one rule wanted to know, or the problem that kept it from being known. Tables are cut when they are asked for."""

    needs: Needs
    found: Mapping[Need, _Found]
    knowledge: Knowledge

    @property
    def problem(self) -> AlertdError | None:
        """What went wrong, if anything did."""
        return next((each for each in self.found.values() if isinstance(each, AlertdError)), None)

    def table(self, need: Need) -> Table:
        """The conversations of one of the rule's needs; the problem that kept them from being known."""
        found = self.found[need]
        if isinstance(found, AlertdError):
            raise found
        table = found.cut(need)
        if found.request.filters != alone(need).filters:  # what its own query would have brought is worth knowing
            self.knowledge.observed(alone(need).filters, need.window, len(table))
        return table


class Asking:
    """One plan on its way. After `answers` has ended, `plan` and `found` tell what was asked and came."""

    def __init__(self, source: Source, wanted: Sequence[Wanted]) -> None:
        self._source = source
        self._wanted = {each.rule.id: each for each in wanted}
        self._needs = {each.rule.id: needs_of(each.rule, each.at - each.rule.delay, each.remembered) for each in wanted}
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
        for served in self.together():
            yield from served

    def together(self) -> Iterator[list[tuple[str, Answers]]]:
        """The same, the rules together that one answer was the last for."""
        waiting = {rule: set(needs.all()) for rule, needs in self._needs.items()}
        askers: dict[Need, list[str]] = {}
        for rule, needs in waiting.items():
            for need in needs:
                askers.setdefault(need, []).append(rule)
        orders = self._orders(self._serves)
        while orders:
            apart: dict[Request, list[Need]] = {}
            for request, answer in self._source.fetch(orders):
                served = list[tuple[str, Answers]]()
                for need in self._take(request, answer, apart):
                    for rule in askers[need]:
                        waiting[rule].discard(need)
                        if not waiting[rule]:
                            served.append((rule, self._of(rule)))
                yield served
            self._serves = apart
            orders = self._orders(apart)

    def _take(self, request: Request, answer: Answer, apart: dict[Request, list[Need]]) -> list[Need]:
        """Note an answer for the needs it serves. A query that the API refuses is taken apart: only who spoilt it pays."""
        served = self._serves[request]
        if isinstance(answer, BadQuery):
            for smaller, needs in _apart(request, served, self._source.knowledge):
                apart.setdefault(smaller, []).extend(needs)
            served = [need for need in served if alone(need) == request]
            for need in served:
                self._source.knowledge.keep_apart(need.selection)
        found: _Found = Cutter(request, answer) if isinstance(answer, Table) else answer
        self.found |= dict.fromkeys(served, found)
        return served

    def _of(self, rule: str) -> Answers:
        needs = self._needs[rule]
        return Answers(needs, {need: self.found[need] for need in needs.all()}, self._source.knowledge)

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


def _apart(request: Request, served: Sequence[Need], knowledge: Knowledge) -> Iterator[tuple[Request, list[Need]]]:
    """Smaller requests for the needs of one that the API refused: halves, so that whoever spoilt it is found in a few steps."""
    others = sorted((need for need in served if alone(need) != request), key=_traits)
    for half in (others[: len(others) // 2], others[len(others) // 2 :]):
        found: dict[Request, list[Need]] = {}
        for need, smaller in make_plan(half, knowledge).answered_by.items():
            found.setdefault(smaller, []).append(need)
        if again := found.pop(request, None):  # it would be refused again
            yield from _apart(request, again, knowledge)
        yield from found.items()


def _traits(need: Need) -> tuple[list[str], list[str]]:
    """What may spoil a request; those who share it stand together."""
    return sorted(need.selection.metrics), sorted(map(repr, need.selection.local))
