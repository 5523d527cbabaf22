"""The app manifest that ships: what the code uses, and no more."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from alertd.channels.slack.finding import SCOPES
from alertd.channels.slack.refusals import PERMANENT

FILE = Path(__file__).parents[2] / "deploy" / "slack-manifest.yaml"
TEXT = FILE.read_text(encoding="utf-8")


@pytest.fixture
def manifest() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load(TEXT)
    return read


def test_the_app_asks_for_no_more_than_to_write(manifest: dict[str, Any]) -> None:
    assert manifest["oauth_config"] == {"scopes": {"bot": ["chat:write"]}}
    assert "scope chat:write " in PERMANENT["missing_scope"]


def test_what_more_scopes_would_bring_is_said_where_they_can_be_added() -> None:
    offered = re.findall(r"^ +# - (\S+)$", TEXT, re.MULTILINE)
    assert offered == ["chat:write.public", *SCOPES]


def test_buttons_work_without_an_address_that_slack_can_reach(manifest: dict[str, Any]) -> None:
    settings = manifest["settings"]
    assert settings["socket_mode_enabled"] is True
    assert settings["interactivity"] == {"is_enabled": True}
    assert "connections:write" in TEXT


def test_names_are_as_long_as_slack_takes(manifest: dict[str, Any]) -> None:
    shown = manifest["display_information"]
    assert len(shown["name"]) <= 35
    assert len(shown["description"]) <= 140
    assert len(manifest["features"]["bot_user"]["display_name"]) <= 80
