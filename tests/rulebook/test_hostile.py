"""Whatever stands in a rules folder: it loads, or it is refused in words, soon."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alertd.errors import RulebookError
from alertd.rulebook.findings import Finding, render_github, render_json, render_text
from alertd.rulebook.loader import inspect, load

VALID = """\
defaults: {labels: {team: support}, notify: a}
rules:
  - id: slow-first-answer
    every: 5m
    window: 1h
    filters:
      - {property: status, operation: IN, values: [open, closed]}
    measure: {median: timeToAgentResponseMillis}
    unanswered: as_waited
    warning:  {above: 5m,  recover: 4m}
    critical: {above: 15m, recover: 10m}
    min_conversations: 20
    notify: {warning: a, critical: [a, a]}
  - id: share
    every: 5m
    window: 1h
    measure: {share: [{property: botStatus, operation: EQ, values: [NO_RESPONSE]}]}
    critical: {above: 20%}
    min_conversations: 20
"""
RECEIVERS = "receivers:\n  a: {email: {to: [a@example.com]}}\nfallback: a\n"


def findings_of(folder: Path, raw: bytes, receivers: str = RECEIVERS) -> tuple[Finding, ...]:
    (folder / "rules.yaml").write_bytes(raw)
    (folder / "receivers.yaml").write_text(receivers, encoding="utf-8")
    return inspect(folder)[1]


def only(findings: tuple[Finding, ...]) -> str:
    (finding,) = findings
    assert finding.severity == "error"
    return finding.message


@pytest.mark.parametrize("bracket", ["[", "{", "[\n", "- ", "? ", "{a: "])
def test_deep_nesting_is_refused_before_it_hurts(tmp_path: Path, bracket: str) -> None:
    assert "nested more than 32 deep" in only(findings_of(tmp_path, (bracket * 100_000).encode()))


def test_an_alias_bomb_is_refused(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    findings = findings_of(tmp_path, "\n".join(lines).encode())

    assert findings[0].message.startswith('anchors ("&a0") are not read')
    assert len(findings) <= 101


def test_ten_megabytes_are_not_read(tmp_path: Path) -> None:
    assert only(findings_of(tmp_path, b"#" * 10_000_000)) == "this file cannot be read: it is larger than 1 MiB; split it"


def test_a_million_mistakes_are_bounded(tmp_path: Path) -> None:
    wrong = "    filters: [" + ", ".join(["{property: statsu, operation: EQ}"] * 49) + "]\n"
    findings = findings_of(tmp_path, ("rules:\n" + f"  - id: x\n{wrong}" * 500).encode())

    assert 100 < len(findings) < 200
    assert render_text(findings).endswith(f"and {len(findings) - 50} more")


def test_more_values_than_any_rule_file_has_are_refused(tmp_path: Path) -> None:
    assert "more than 200,000 values" in only(findings_of(tmp_path, b"a: [" + b"1," * 450_000 + b"]"))


@pytest.mark.parametrize(
    ("raw", "place"),
    [(b"rules: []\n# caf\xe9\n", (2, 6)), (b"\xff\xfer\x00u\x00", (1, 1)), ("ä: ".encode() + b"\x80", (1, 4))],
)
def test_text_that_is_not_utf_8_is_refused_at_its_place(tmp_path: Path, raw: bytes, place: tuple[int, int]) -> None:
    (finding,) = findings_of(tmp_path, raw)

    assert (finding.line, finding.column) == place
    assert "not UTF-8" in finding.message


def test_a_byte_order_mark_and_windows_line_ends_are_fine(tmp_path: Path) -> None:
    assert findings_of(tmp_path, b"\xef\xbb\xbf" + VALID.replace("\n", "\r\n").encode())[1:] == ()


def test_a_link_that_leads_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "rules"
    folder.mkdir()
    (tmp_path / "secret.yaml").write_text("password: hunter2")
    (folder / "more.yaml").symlink_to(tmp_path / "secret.yaml")
    message = only(findings_of(folder, VALID.encode())[:1])

    assert "leads out of the rules folder" in message
    assert "hunter2" not in message


def test_a_link_to_another_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "more").symlink_to(tmp_path / "elsewhere")

    assert "leads out of the rules folder" in only(findings_of(tmp_path / "rules", VALID.encode())[:1])


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.yaml")

    assert "not an ordinary file" in only(findings_of(tmp_path, VALID.encode())[:1])


def test_a_dangling_link_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").symlink_to(tmp_path / "gone.yaml")

    assert "cannot be read" in only(findings_of(tmp_path, VALID.encode())[:1])


def test_a_file_name_cannot_move_the_cursor(tmp_path: Path) -> None:
    (tmp_path / "a\x1b[2J.yaml").write_text("x")
    findings = findings_of(tmp_path, VALID.encode())

    assert "\x1b" not in render_text(findings)


def told(folder: Path, raw: bytes, name: str) -> None:
    (folder / "rules.yaml").write_text(VALID)
    (folder / "receivers.yaml").write_text(RECEIVERS)
    (folder / name).write_bytes(raw)
    try:
        load(folder, revision="x")
    except RulebookError as problem:
        findings = [each for each in problem.findings if isinstance(each, Finding)]
        for render in (render_text, render_github, render_json):
            render(findings).encode()
        lines = raw.decode(errors="replace").count("\n") + raw.decode(errors="replace").count("\r") + 1
        assert all(1 <= each.line <= max(lines, 17) and 1 <= each.column < each.end_column for each in findings)


fuzz = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
files = st.sampled_from(["rules.yaml", "receivers.yaml"])


@fuzz
@given(raw=st.binary(max_size=300) | st.text(max_size=300).map(str.encode), name=files)
def test_random_bytes_are_loaded_or_refused(tmp_path: Path, raw: bytes, name: str) -> None:
    told(tmp_path, raw, name)


@fuzz
@given(text=st.text(alphabet="ab:-?[]{}&*!|>'\"%@`#,~<.1 \t\n\r\\", max_size=80), name=files)
def test_random_punctuation_is_loaded_or_refused(tmp_path: Path, text: str, name: str) -> None:
    told(tmp_path, text.encode(), name)


TOKENS = [":", "-", "{", "}", "[", "]", "&a", "*a", "<<", "!x", "'", '"', "\t", "\n", " ", "5m", "20%", "null", "~", "1e999"]
TOKENS += [
    "above",
    "rules",
    "id",
    "every",
    "\0",
    "\x85",
    "\u202e",
    "😀",
    "9" * 30,
    "-1",
    "true",
    ".nan",
    "count",
    "{}",
    "[]",
    "as_waited",
]


@fuzz
@given(seed=st.integers(0, 2**32), edits=st.integers(1, 8), name=files)
def test_a_valid_file_that_is_scrambled_is_loaded_or_refused(tmp_path: Path, seed: int, edits: int, name: str) -> None:
    chance = random.Random(seed)
    text = VALID if name == "rules.yaml" else RECEIVERS
    for _ in range(edits):
        start = chance.randrange(len(text))
        end = start + chance.choice([0, 0, 1, 5, 20])
        text = text[:start] + chance.choice(TOKENS) + text[end:]
    told(tmp_path, text.encode(), name)


@fuzz
@given(value=st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
                          lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)),
       place=st.integers(0, 30))  # fmt: skip
def test_any_value_in_any_place_is_loaded_or_refused(tmp_path: Path, value: object, place: int) -> None:
    data = yaml.safe_load(VALID)
    target = [
        data["defaults"],
        data["rules"][0],
        data["rules"][1],
        data["rules"][0]["warning"],
        data["rules"][0]["filters"][0],
        data,
    ]
    chosen = target[place % len(target)]
    chosen[sorted(chosen)[place % len(chosen)]] = value
    told(tmp_path, yaml.safe_dump(data).encode(), "rules.yaml")
