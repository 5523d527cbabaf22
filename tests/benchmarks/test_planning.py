"""What thousands of rules cost: calls, planning, forecasts, judging. Prints, asserts nothing about time."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from alertd.clock import DAY, HOUR, MINUTE
from alertd.evaluation.judging import Judgement, Known, judge
from alertd.planning.cutting import Cutter
from alertd.planning.demand import affordable
from alertd.planning.forecast import forecast
from alertd.planning.knowledge import Knowledge, Lesson
from alertd.planning.needs import Need, needs_of
from alertd.planning.planner import Limits, Plan, Request, alone, make_plan
from alertd.reporting.table import Column, Table
from alertd.rulebook.rule import Rule
from alertd.testing import START
from tests.benchmarks.rulebooks import a_large_rulebook

USABLE = 54
ROWS = 100_000


def took(measured: Callable[[], object]) -> float:
    """Milliseconds."""
    start = time.perf_counter()
    measured()
    return (time.perf_counter() - start) * 1000


def plan(rules: list[Rule], knowledge: Knowledge, at: int) -> Plan:
    """What a tick does before it asks."""
    needs = (need for rule in rules for need in needs_of(rule, at).all())
    return make_plan(needs, knowledge, Limits(most_calls=affordable(rules, USABLE)))


def learned(rules: list[Rule]) -> Knowledge:
    """What a day of answers teaches: 70 conversations a minute, of which each filter leaves a part."""
    knowledge = Knowledge()
    for rule in rules:
        for need in needs_of(rule, START).all():
            selection, filters = need.selection, alone(need).filters
            knowledge.lessons[selection.server] = Lesson(rate=70 * 0.4 ** len(selection.server))
            knowledge.lessons[filters] = Lesson(rate=70 * 0.4 ** len(selection.server) * 0.05 ** len(selection.local))
    return knowledge


@pytest.mark.parametrize("known", [False, True], ids=["nothing known", "rates known"])
@pytest.mark.parametrize("count", [100, 1_000, 10_000])
def test_planning(count: int, known: bool) -> None:
    rules = a_large_rulebook(count)
    knowledge = learned(rules) if known else Knowledge()
    first = took(partial(plan, rules, knowledge, START))
    again = min(took(partial(plan, rules, knowledge, START + n * MINUTE)) for n in range(1, 4))
    found = plan(rules, knowledge, START)
    separate = len({alone(need) for need in found.answered_by})
    forecast_took = took(partial(forecast, rules, knowledge))
    fits = forecast(rules, knowledge).fits
    print(
        f"\n{count:>6,} rules a minute, {'rates' if known else 'nothing'} known: {len(found.requests)} calls fused, "
        f"{separate:,} separate; {count / len(found.requests):.0f} rules a call; "
        f"planning {first:.1f} ms, again {again:.1f} ms; forecast {forecast_took:.0f} ms, fits: {fits}",
        end="",
    )


@pytest.mark.parametrize("count", [100, 1_000, 10_000])
def test_forecast_of_mixed_rhythms(count: int) -> None:
    rules = a_large_rulebook(count, every=None)
    found = forecast(rules)
    print(
        f"\n{count:>6,} rules every minute to every hour: {found.mean_per_minute:.1f} calls a minute, "
        f"{found.worst_minute} in the worst; forecast {took(partial(forecast, rules)):.0f} ms",
        end="",
    )


def a_day(request: Request, luck: np.random.Generator) -> Table:
    """A hundred thousand conversations of the request's window: one in ten has no answer, one in a thousand is still open."""
    window, columns = request.window, dict[str, Column]()
    created = luck.integers(window.start, window.end, ROWS).astype(float)
    ranges = {
        "lastAgentId": (501_001, 501_041),
        "relatedPlaybookId": (671_580, 671_600),
        "cqlScore": (0, 5),
        "numEndUserMessages": (0, 5),
    }
    moments = {"createdAt": 0, "firstEndUserMessageAt": 1, "firstAgentMessageAt": 9, "firstCloseAt": 99}
    for name in request.metrics:
        columns[name] = luck.integers(*ranges.get(name, (0, 3_600_000)), ROWS).astype(float)
        if name in moments:
            columns[name] = created + moments[name]
    unanswered, still_open = luck.random(ROWS) < 0.1, luck.random(ROWS) < 0.001
    for name, absent in (
        ("timeToAgentResponseMillis", unanswered),
        ("firstAgentMessageAt", unanswered),
        ("firstCloseAt", still_open),
        ("timeToCloseMillis", still_open),
    ):
        if name in columns:
            columns[name][absent] = np.nan
    return Table(np.arange(ROWS, dtype=np.int64), columns)


def test_judging() -> None:
    """One shared answer for a thousand rules that ask the same of the server."""
    rules = [rule for rule in a_large_rulebook(25_000) if not any(_server(need) for need in needs_of(rule, START).all())][
        :1_000
    ]
    needs = {rule.id: needs_of(rule, START).selection for rule in rules}
    (request,) = make_plan(needs.values(), limits=Limits(most_calls=1)).requests
    cutter = Cutter(request, a_day(request, np.random.default_rng(1)))
    cut = took(lambda: [cutter.cut(needs[rule.id]) for rule in rules])
    tables = {rule.id: cutter.cut(needs[rule.id]) for rule in rules}
    known = Known(alive=frozenset())

    def judged(rules: list[Rule]) -> list[Judgement]:
        return [judge(rule, needs_of(rule, START), partial(_the_table, tables[rule.id]), START, known) for rule in rules]

    single = took(partial(judged, [rule for rule in rules if rule.single]))
    others = took(partial(judged, [rule for rule in rules if not rule.single]))
    rows = sum(len(table) for table in tables.values())
    print(
        f"\njudge {len(rules):,} rules over one answer of {ROWS:,} rows (windows up to {DAY // HOUR} h): cut {cut:.0f} ms, "
        f"judge the {sum(rule.single for rule in rules)} by conversation {single:.0f} ms, the others {others:.0f} ms; "
        f"{(cut + single + others) / len(rules):.2f} ms a rule, {rows / len(rules):,.0f} rows a rule",
        end="",
    )


def _the_table(table: Table, _need: Need) -> Table:
    return table


def _server(need: Need) -> bool:
    return bool(need.selection.server)
