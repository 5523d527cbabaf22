"""What every measure must do, whichever there are."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from alertd import measures
from alertd.errors import QueryError
from alertd.measures.base import ANSWER_TIME, Measure, Sample
from alertd.planning.needs import needs_of
from alertd.reporting.properties import PROPERTIES, Kind
from alertd.testing import a_rule
from alertd.testing.clock import START
from alertd.units import Unit
from tests.measures.brute import Case

MODULES = measures.modules()
NAMES = measures.names()

# Of the measures themselves, in the words of the rule language.
LISTED = {"count", "waiting", "mean", "median", "min", "max", "sum", "stddev", "distinct", "share"}
LISTED |= {f"p{percent}" for percent in range(50, 100)}

# A complete answer without conversations is an answer for these (I3).
ZERO_WHEN_EMPTY = {"count", "distinct", "waiting"}

ARGUMENTS: dict[str | None, Any] = {
    None: None,
    "property": ANSWER_TIME,
    "filters": [
        {"property": "status", "operation": "EQ", "values": ["open"]},
        {"property": "cqlScore", "operation": "GT", "values": [0]},
    ],
}


def called(name: str, argument: Any = ...) -> Measure:
    kind = next(measures.load(module) for module in MODULES if name in measures.load(module).names)
    found = ARGUMENTS[kind.argument] if argument is ... else argument
    return measures.build(name if found is None else {name: found})


def sample_for(measure: Measure, case: Case, *, as_waited: bool = False) -> Sample:
    """A sample with just the columns that a rule of this measure asks for."""
    needs = needs_of(a_rule(measure=measure, as_waited=as_waited, by="lastAgentId"), START)
    rows = tuple({name: row[name] for name in needs.selection.selection.metrics if name in row} for row in case.rows)
    narrow = Case(rows, case.groups, case.count)
    return narrow.sample(
        as_waited=as_waited, chosen=[1, 2] if needs.numerator else None, extra=sorted(needs.selection.selection.metrics)
    )


FULL = {name: 5.0 for name, each in PROPERTIES.items() if each.numeric}
WAITS = {"numEndUserMessages": 1.0, "firstEndUserMessageAt": START - 60_000.0}
FILLED = Case((FULL, FULL, {}, WAITS, {"cqlScore": 1.0}), (0, 0, 1, 1, 3), 5)
EMPTY = (Case((), (), 0), Case((), (), 1), Case((), (), 3))


def test_the_measures_are_those_of_the_rule_language() -> None:
    assert set(NAMES) == LISTED
    assert len(NAMES) == len(LISTED)


def test_a_module_is_a_measure_and_its_name_is_the_measures() -> None:
    here = Path(measures.__file__).parent
    assert {*MODULES, "base", "grouping", "__init__"} == {path.stem for path in here.glob("*.py")}
    assert all(module in LISTED or module == "percentile" for module in MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_its_example_is_yaml_that_builds_it(module: str) -> None:
    kind = measures.load(module)
    assert type(measures.build(yaml.safe_load(kind.example))) is kind


@pytest.mark.parametrize("module", MODULES)
def test_it_is_about_something(module: str) -> None:
    kind = measures.load(module)
    assert kind.about[0].isupper()
    assert kind.about.endswith(".")
    assert kind.argument in ARGUMENTS


@pytest.mark.parametrize("name", NAMES)
def test_it_says_itself_in_words(name: str) -> None:
    words = called(name).describe()
    assert words == words.strip()
    assert words[0].islower() or words[0].isdigit()
    assert not any(each in words for each in (ANSWER_TIME, "_", "Millis", "  "))


@pytest.mark.parametrize("name", NAMES)
def test_equal_measures_are_equal(name: str) -> None:
    assert called(name) == called(name)
    assert hash(called(name)) == hash(called(name))


@pytest.mark.parametrize("name", NAMES)
def test_its_metrics_are_numbers_and_its_own(name: str) -> None:
    measure = called(name)
    assert all(PROPERTIES[each].numeric for each in measure.metrics)
    assert len(set(measure.metrics)) == len(measure.metrics)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("as_waited", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_it_computes_with_no_more_than_its_rule_asks_for(name: str, as_waited: bool) -> None:
    measure = called(name)
    with np.errstate(all="raise"):
        found = measure.compute(sample_for(measure, FILLED, as_waited=as_waited and measure.waits))
    assert found.values.shape == found.entered.shape == (FILLED.count,)
    assert found.values.dtype == np.float64
    assert found.entered.tolist()[2] == 0
    assert not np.isnan(found.values[0])
    assert found.entered[0] == 2
    assert found.scores is None or found.scores.shape == (len(FILLED.rows),)
    expected = 0.0 if name in ZERO_WHEN_EMPTY else math.nan
    assert found.values[2] == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize("name", NAMES)
def test_it_computes_where_there_is_nothing(name: str) -> None:
    measure = called(name)
    for case in EMPTY:
        with np.errstate(all="raise"):
            found = measure.compute(sample_for(measure, case, as_waited=measure.waits))
        expected = 0.0 if name in ZERO_WHEN_EMPTY else math.nan
        assert found.values.tolist() == pytest.approx([expected] * case.count, nan_ok=True)
        assert found.entered.tolist() == [0] * case.count


@pytest.mark.parametrize("name", NAMES)
def test_it_leaves_its_sample_as_it_was(name: str) -> None:
    measure = called(name)
    sample = sample_for(measure, FILLED, as_waited=measure.waits)
    for column in (*sample.table.columns.values(), sample.table.ids, sample.groups):
        column.flags.writeable = False
    measure.compute(sample)


@pytest.mark.parametrize("name", [name for name in NAMES if called(name).metrics == (ANSWER_TIME,)])
@pytest.mark.parametrize("of", [each for each in PROPERTIES.values() if each.kind in (Kind.DURATION, Kind.NUMBER)])
def test_its_unit_is_that_of_its_property(name: str, of: Any) -> None:
    duration = of.kind is Kind.DURATION and name != "distinct"
    assert called(name, of.name).unit is (Unit.DURATION if duration else Unit.NUMBER)
    assert called(name, of.name).waits is (of.name == ANSWER_TIME and name != "distinct")


@pytest.mark.parametrize("of", [each for each in PROPERTIES.values() if each.kind not in (Kind.DURATION, Kind.NUMBER)])
@pytest.mark.parametrize("name", ["median", "p90", "sum", "distinct"])
def test_one_cannot_calculate_with_ids_moments_and_texts(name: str, of: Any) -> None:
    if name == "distinct" and of.numeric:
        assert called(name, of.name).unit is Unit.NUMBER
        return
    with pytest.raises(QueryError, match=f"^{of.name} is ") as caught:
        called(name, of.name)
    assert caught.value.path == (name,)


@pytest.mark.parametrize("name", ["median", "p50", "mean", "min", "max", "sum", "stddev", "distinct", "p90"])
@pytest.mark.parametrize("argument", [None, 5, [], {}, [ANSWER_TIME], True])
def test_a_measure_of_a_property_wants_its_name(name: str, argument: Any) -> None:
    with pytest.raises(QueryError, match=f"^{name} needs a property: {{{name}: "):
        measures.build({name: argument})


@pytest.mark.parametrize("name", ["count", "waiting"])
@pytest.mark.parametrize("argument", [ANSWER_TIME, [], 0, False])
def test_a_measure_without_an_argument_takes_none(name: str, argument: Any) -> None:
    with pytest.raises(QueryError, match=f"^{name} takes nothing after it") as caught:
        measures.build({name: argument})
    assert caught.value.path == (name,)


@pytest.mark.parametrize(
    ("raw", "path", "suggestion"),
    [
        ("cuont", (), "count"),
        ({"meidan": ANSWER_TIME}, ("meidan",), "median"),
        ({"Median": ANSWER_TIME}, ("Median",), "median"),
        ({"median": "timeToAgentResponse"}, ("median",), ANSWER_TIME),
        ({5: 5}, ("5",), None),
        ("base", (), None),
        ("percentile", (), None),
        ("../../etc", (), None),
        ({}, (), None),
        ({"count": None, "median": ANSWER_TIME}, (), None),
        (None, (), None),
        (["count"], (), None),
    ],
)
def test_what_is_no_measure_is_told_with_the_one_that_was_meant(
    raw: object, path: tuple[str, ...], suggestion: str | None
) -> None:
    with pytest.raises(QueryError) as caught:
        measures.build(raw)
    assert caught.value.path == path
    if suggestion or raw in ("../../etc", {5: 5}):
        assert caught.value.suggestion == suggestion


@pytest.mark.parametrize(
    ("percent", "words"), [(50, "50th"), (51, "51st"), (62, "62nd"), (73, "73rd"), (90, "90th"), (91, "91st"), (99, "99th")]
)
def test_a_percentile_is_an_ordinal(percent: int, words: str) -> None:
    assert called(f"p{percent}").describe() == f"{words} percentile of the time to the first answer"
