"""How long rule files take to load. Prints, asserts nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path

from alertd.rulebook.files import gather, read
from alertd.rulebook.loader import Memory, build, inspect
from alertd.rulebook.located import compose
from alertd.rulebook.schema import schema

RECEIVERS = """
receivers:
  support-slack: {slack: {channel: "#support-alerts"}}
  oncall-mail: {email: {to: [oncall@example.com]}}
fallback: oncall-mail
"""

RULE = """
  - id: rule-{number}
    title: First answers are slow ({number})
    description: Visitors who were routed to the team wait too long for the first human word.
    runbook: https://wiki.example.com/slow-first-answer
    every: 5m
    window: 1h
    filters:
      - {{property: numEndUserMessages, operation: GTE, values: [1]}}
      - {{property: relatedPlaybookId, operation: EQ, values: [{number}]}}
    measure: {{median: timeToAgentResponseMillis}}
    unanswered: as_waited
    warning: {{above: 5m, recover: 4m}}
    critical: {{above: 15m, recover: 10m}}
    for: 10m
    min_conversations: 20
    notify: {{warning: support-slack, critical: [support-slack, oncall-mail]}}
    labels: {{team: support, tier: "2"}}
"""


def write(folder: Path, files: int, rules: int) -> None:
    (folder / "receivers.yaml").write_text(RECEIVERS)
    for file in range(files):
        numbers = range(file * rules, (file + 1) * rules)
        (folder / f"rules-{file}.yaml").write_text("rules:" + "".join(RULE.format(number=number) for number in numbers))


def best(times: int, measured: Callable[[], object]) -> float:
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        measured()
        taken.append(time.perf_counter() - start)
    return min(taken)


def test_loading(tmp_path: Path) -> None:
    for files, rules in ((20, 5), (20, 50), (20, 500)):
        folder = tmp_path / str(rules)
        folder.mkdir()
        write(folder, files, rules)
        taken = best(3, partial(inspect, folder))
        each = taken / files / rules * 1e6
        print(f"\nload {files * rules:>6,} rules in {files} files: {taken * 1000:7.1f} ms, {each:5.0f} us a rule", end="")


def test_loading_again(tmp_path: Path) -> None:
    """What a look costs that finds nothing new, and a load that finds one file of a hundred changed."""
    for rules in (10, 100):
        folder = tmp_path / str(rules)
        folder.mkdir()
        write(folder, 100, rules)
        memory = Memory()
        build(read(gather([folder])), None, memory)
        looked = best(3, partial(_look, folder))
        taken = best(3, partial(_change, folder, memory, count()))
        print(f"\n{100 * rules:>6,} rules: look {looked * 1000:.1f} ms, load one file of 100 {taken * 1000:.1f} ms", end="")


def _look(folder: Path) -> str:
    return read(gather([folder])).digest


def _change(folder: Path, memory: Memory, versions: Iterator[int]) -> None:
    with (folder / "rules-0.yaml").open("a") as file:
        file.write(f"# {next(versions)}\n")
    build(read(gather([folder])), None, memory)


def test_composing(tmp_path: Path) -> None:
    text = "rules:" + "".join(RULE.format(number=number) for number in range(1000))
    taken = best(5, partial(compose, text, "rules.yaml"))
    print(f"\ncompose 1,000 rules ({len(text) / 1e6:.1f} MB): {taken * 1000:.1f} ms", end="")


def test_hostile(tmp_path: Path) -> None:
    texts = {"100,000 brackets": "[" * 100_000, "1 MiB of brackets": "[\n" * 524_288, "1 MiB of keys": "x: 1\n" * 209_715}
    for name, text in texts.items():
        taken = best(1, partial(compose, text, "rules.yaml"))
        print(f"\nrefuse {name}: {taken * 1000:.1f} ms", end="")


def test_schema() -> None:
    print(f"\nschema: {best(3, schema) * 1000:.1f} ms", end="")
