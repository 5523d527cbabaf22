from __future__ import annotations

from pathlib import Path

import pytest

RULES = """\
defaults: {owner: support, notify: team, every: 1m, window: 1h, delay: 30s}
rules:
  - id: first-answer
    title: First answers are slow
    filters:
      - {property: numEndUserMessages, operation: GTE, values: [1]}
      - {property: botStatus, operation: NOT_EQ, values: [BOT_ONLY]}
    measure: {median: timeToAgentResponseMillis}
    unanswered: as_waited
    warning: {above: 5m}
"""

RECEIVERS = """\
receivers:
  team: {slack: {channel: "#alerts"}}
  mail: {email: {to: [oncall@example.com]}}
fallback: mail
"""


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """A folder with one good rule and two receivers."""
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "rules.yaml").write_text(RULES, encoding="utf-8")
    (folder / "receivers.yaml").write_text(RECEIVERS, encoding="utf-8")
    return folder
