"""What judging thousands of rules over one answer costs, beside other ways to the same numbers. No time is asserted."""

from __future__ import annotations

import importlib
import importlib.util
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from alertd.clock import DAY, HOUR, MINUTE
from alertd.evaluation.judging import Known, judge
from alertd.planning.cutting import Cutter
from alertd.planning.needs import needs_of
from alertd.planning.planner import Limits, Request, make_plan
from alertd.reporting.predicates import holds
from alertd.reporting.query import Filter, Operation
from alertd.reporting.table import Table
from alertd.rulebook.rule import Rule
from alertd.testing import START, a_rule
from tests.benchmarks.test_planning import a_day

_ANSWER = "timeToAgentResponseMillis"
_AGENT = "lastAgentId"
_NAMES = ("median", "p95", "count")


def comparable(count: int, seed: int = 1) -> list[Rule]:
    """Rules that any engine can calculate: one to three filters, a window up to a day, a quarter of them by agent."""
    luck = np.random.default_rng(seed)
    return [_comparable(number, luck) for number in range(count)]


def _comparable(number: int, luck: np.random.Generator) -> Rule:
    name = _NAMES[number % len(_NAMES)]
    filters = [
        Filter("numEndUserMessages", Operation.GTE, (int(luck.integers(1, 4)),)),
        Filter("cqlScore", Operation.LTE, (int(luck.integers(1, 4)),)),
        Filter(_ANSWER, Operation.LT, (int(luck.integers(600_000, 3_600_000)),)),
    ]
    return a_rule(
        id=f"rule-{number}",
        filters=tuple(filters[: luck.integers(1, 4)]),
        measure="count" if name == "count" else {name: _ANSWER},
        by=_AGENT if number % 4 == 0 else None,
        window=int(luck.integers(5, 24 * 60)) * MINUTE,
        warning=(1e12, 1e12),
    )


def an_answer(rules: list[Rule]) -> tuple[Request, Table]:
    """The one request that serves all rules, and a day of conversations."""
    (request,) = make_plan((needs_of(rule, START).selection for rule in rules), limits=Limits(most_calls=1)).requests
    return request, a_day(request, np.random.default_rng(1))


def ours(rules: list[Rule], request: Request, table: Table) -> Callable[[], list[float]]:
    needs = {rule.id: needs_of(rule, START) for rule in rules}
    known = Known(alive=frozenset())

    def run() -> list[float]:
        cutter = Cutter(request, table)
        found = (judge(rule, needs[rule.id], cutter.cut, START, known) for rule in rules)
        return [sum(each.value or 0 for each in judged.verdicts) for judged in found]

    return run


def masks(rules: list[Rule], _request: Request, table: Table) -> Callable[[], list[float]]:
    """The plain way: a mask over all rows for each rule."""
    created, answers, agents = (table.columns[name] for name in ("createdAt", _ANSWER, _AGENT))

    def one(rule: Rule) -> float:
        mask = (created >= START - rule.window) & (created < START)
        for each in rule.filters:
            mask &= holds(each, table.columns[each.property])
        values, groups = answers[mask], agents[mask]
        parts = [values[groups == each] for each in np.unique(groups)] if rule.by else [values]
        return float(sum(_number(rule, part) for part in parts))

    return lambda: [one(rule) for rule in rules]


def _number(rule: Rule, values: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    if rule.measure.counts:
        return float(len(values))
    there = values[~np.isnan(values)]
    q = 0.5 if "median" in rule.measure.describe() else 0.95
    return float(np.quantile(there, q)) if len(there) else 0.0


def in_polars(rules: list[Rule], _request: Request, table: Table) -> Callable[[], list[float]]:
    """A lazy query a rule."""
    polars = importlib.import_module("polars")

    frame = polars.DataFrame(dict(table.columns)).fill_nan(None).lazy()
    signs = {Operation.GTE: "ge", Operation.LTE: "le", Operation.LT: "lt"}

    def one(rule: Rule) -> float:
        column = polars.col
        query = frame.filter((column("createdAt") >= START - rule.window) & (column("createdAt") < START))
        for each in rule.filters:
            query = query.filter(getattr(column(each.property), signs[each.operation])(each.values[0]))
        q = 0.5 if "median" in rule.measure.describe() else 0.95
        made = polars.len() if rule.measure.counts else column(_ANSWER).quantile(q, "linear")
        found = query.group_by(_AGENT).agg(made.alias("n")) if rule.by else query.select(made.alias("n"))
        return float(found.collect()["n"].sum() or 0)

    return lambda: [one(rule) for rule in rules]


def in_duckdb(rules: list[Rule], _request: Request, table: Table) -> Callable[[], list[float]]:
    """A statement a rule."""
    duckdb = importlib.import_module("duckdb")

    store, columns = duckdb.connect(), dict(table.columns)
    store.register("raw", columns)
    nulls = ", ".join(f'CASE WHEN isnan("{name}") THEN NULL ELSE "{name}" END AS "{name}"' for name in columns)
    store.execute(f"CREATE TABLE t AS SELECT {nulls} FROM raw")
    signs = {Operation.GTE: ">=", Operation.LTE: "<=", Operation.LT: "<"}

    def one(rule: Rule) -> float:
        where = [f'"createdAt" >= {START - rule.window} AND "createdAt" < {START}']
        where += [f'"{each.property}" {signs[each.operation]} {each.values[0]}' for each in rule.filters]
        q = 0.5 if "median" in rule.measure.describe() else 0.95
        made = "count(*)" if rule.measure.counts else f'quantile_cont("{_ANSWER}", {q})'
        by = f'GROUP BY "{_AGENT}"' if rule.by else ""
        rows = store.execute(f"SELECT coalesce(sum(n), 0) FROM (SELECT {made} AS n FROM t WHERE {' AND '.join(where)} {by})")
        return float((rows.fetchone() or (0,))[0])

    return lambda: [one(rule) for rule in rules]


ENGINES = {"alertd": ours, "numpy masks": masks, "polars": in_polars, "duckdb": in_duckdb}


@pytest.mark.parametrize("count", [1_000, 10_000])
def test_rules_a_second(count: int) -> None:
    rules, figures = comparable(count), dict[str, list[float]]()
    answer = an_answer(rules)
    print(f"\n{count:,} rules over 100,000 conversations, windows up to {DAY // HOUR} h, a quarter by agent", end="")
    for name, make in ENGINES.items():
        if name in ("polars", "duckdb") and importlib.util.find_spec(name) is None:
            print(f"\n  {name:<12} not installed", end="")
            continue
        some = rules if name == "alertd" else rules[:500]
        run = make(some, *answer)
        start = time.perf_counter()
        figures[name] = run()
        print(f"\n  {name:<12} {len(some) / (time.perf_counter() - start):>8,.0f} rules/s", end="")
    for name, found in figures.items():
        assert np.allclose(found, figures["alertd"][: len(found)], rtol=1e-6), name


def test_memory_above_the_answer() -> None:
    rules = comparable(1_000)
    run = ours(rules, *an_answer(rules))
    tracemalloc.start()
    run()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    print(f"\n1,000 rules: at most {peak / 1e6:.0f} MB above the answer", end="")
