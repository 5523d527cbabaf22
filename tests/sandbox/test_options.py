from __future__ import annotations

import pytest

from alertd.clock import MINUTE, SECOND
from alertd.errors import SettingsError
from alertd.sandbox.faults import Fault, FaultKind, Luck, parse_faults
from alertd.sandbox.scenarios import LASTS, Scenario, ScenarioKind, parse_scenario


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("rush", 1000, 1000 + LASTS),
        ("rush@30s", 31_000, 31_000 + LASTS),
        ("rush+2m", 1000, 1000 + 2 * MINUTE),
        ("rush@30s+2m", 31_000, 31_000 + 2 * MINUTE),
    ],
)
def test_a_scenario_starts_and_ends_as_written(text: str, start: int, end: int) -> None:
    assert parse_scenario(text, 1000) == Scenario(ScenarioKind.RUSH, start, end)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nobody-answer", 'did you mean "nobody-answers"'),
        ("xyz", "there are agent-asleep, nobody-answers, rush, quiet-night, broken-playbook"),
        ("rush@30", '"30" has no unit'),
        ("rush+soon", '"soon" is not a duration'),
    ],
)
def test_a_wrong_scenario_is_told_what_was_meant(text: str, said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_scenario(text, 0)
    assert said in str(caught.value)
    assert f'--scenario "{text}"' in str(caught.value)


def test_faults_have_a_kind_a_rate_and_slow_ones_a_duration() -> None:
    assert parse_faults(["timeout:0.1", "slow:0.2:5s", "slow:0.1"]) == (
        Fault(FaultKind.TIMEOUT, 0.1),
        Fault(FaultKind.SLOW, 0.2, 5 * SECOND),
        Fault(FaultKind.SLOW, 0.1, 3 * SECOND),
    )


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["timeot:0.1"], 'did you mean "timeout"'),
        (["404:0.1"], 'there is no fault "404"'),
        (["500"], '"" is not a rate from 0 to 1'),
        (["500:2"], '"2" is not a rate from 0 to 1'),
        (["500:nan"], '"nan" is not a rate from 0 to 1'),
        (["slow:0.1:3"], '"3" has no unit'),
        (["500:0.1:3s"], "only slow has a duration; write it like 500:0.1"),
        (["500:0.6", "429:0.6"], "the rates add up to 1.2"),
    ],
)
def test_wrong_faults_are_told_what_is_meant(texts: list[str], said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_faults(texts)
    assert said in str(caught.value)


def test_faults_come_at_their_rates_and_the_same_way_for_a_seed() -> None:
    faults = parse_faults(["429:0.2", "500:0.3"])
    one, other = (Luck(faults, 1), Luck(faults, 1))
    drawn = [one.draw() for _ in range(2000)]
    assert drawn == [other.draw() for _ in range(2000)]
    assert drawn != [luck.draw() for luck in [Luck(faults, 2)] for _ in range(2000)]
    assert abs(drawn.count(faults[0]) - 400) < 100
    assert abs(drawn.count(faults[1]) - 600) < 120
    assert None in drawn
