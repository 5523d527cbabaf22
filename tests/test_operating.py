"""docs/operating.md says what is served, and the rules for Prometheus are about what there is."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from prometheus_client.parser import text_string_to_metric_families

from alertd import troubles
from alertd.clock import SECOND
from alertd.errors import StoreError
from alertd.evaluation import failing
from alertd.overview import Overview, look
from alertd.reporting.budget import BudgetState
from alertd.rulebook.pages import renew
from alertd.store.database import Database
from alertd.testing import START
from alertd.web.health import Check, create_app
from alertd.web.metrics import Metrics
from alertd.web.pages import TABLES
from alertd.web.serving import Server, listen

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((ROOT / "deploy" / "prometheus-alerts.yaml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]
BUDGET = BudgetState(60, 6, 4, 2, 9 * SECOND)


def served(metrics: Metrics, overview: Overview | None = None, **checks: Check) -> dict[str, float]:
    """What is served, each under its name and labels."""

    def found() -> Overview:
        if overview is None:
            raise StoreError("gone")
        return overview

    text = metrics.collect(found, lambda: checks)().decode()
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {" ".join((sample.name, *sample.labels.values())): sample.value for sample in samples}


def test_the_page_is_up_to_date() -> None:
    assert renew(PAGE, TABLES) == PAGE, "docs/operating.md is older than what is served; renew it with: make docs"
    assert sorted(re.findall(r"<!-- begin ([a-z ]+) -->", PAGE)) == sorted(TABLES)


def test_the_page_lists_exactly_what_is_served() -> None:
    families = {each.name + ("_total" if each.type == "counter" else "") for each in Metrics().registry.collect()}
    listed = set(re.findall(r"^\| `(alertd_[a-z_]+)` \|", PAGE, re.MULTILINE))
    assert {name for name in families if not name.startswith("process_")} == listed


def test_names_are_those_that_prometheus_wants() -> None:
    for each in Metrics().promised:
        assert re.fullmatch(r"alertd(_[a-z]+)+", each.name)
        assert each.name.endswith("_total") == (each.kind == "counter")
        assert each.text.endswith(".")


def test_every_trouble_that_people_are_told_of_is_on_the_page() -> None:
    names = [
        troubles.RULEBOOK,
        troubles.PARTS,
        troubles.STORE,
        troubles.BUTTONS,
        troubles.HEARTBEAT,
        troubles.RECEIVER,
        troubles.LOST,
    ]
    names += [failing.SOURCE, failing.BUDGET, failing.RULE, failing.FORECAST]
    assert {name.partition("/")[0] for name in names} == set(re.findall(r"^\| `(alertd-[a-z-]+)", PAGE, re.MULTILINE))


def test_figures_stand_for_what_is_in_the_store_and_parts_for_the_checks(database: Database) -> None:
    overview = look(database, BUDGET, None, START)
    found = served(Metrics(), overview, store=Check(ok=True, text=""), source=Check(ok=False, text=""))
    assert (found["alertd_part_ok store"], found["alertd_part_ok source"]) == (1, 0)
    assert (found["alertd_budget_calls withheld"], found["alertd_budget_blocked_seconds"]) == (2, 9)
    assert found["alertd_outbox queued"] == 0


def test_what_is_not_known_is_no_zero() -> None:
    found = served(Metrics())
    unknown = {name for name, value in found.items() if math.isnan(value)}
    assert {"alertd_outbox queued", "alertd_budget_calls limit", "alertd_store_bytes"} <= unknown
    assert not any("_created" in name for name in found)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
def test_rules_for_prometheus_ask_for_what_there_is(rule: dict[str, Any]) -> None:
    known = {each.name for each in Metrics().promised} | {"process_start_time_seconds", "up"}
    named = set(re.findall(r"\b(?:alertd_[a-z_]+|process_[a-z_]+|up)\b(?=[\s{\[)=]|$)", rule["expr"]))
    assert named
    assert named <= known
    assert set(rule["annotations"]) == {"summary", "description"}
    assert rule["labels"]["severity"] in ("warning", "critical")


def test_the_rules_for_prometheus_name_parts_that_there_are() -> None:
    parts = set(re.findall(r"^\| `([a-z]+)` \|", PAGE, re.MULTILINE))
    named = {name for rule in RULES for text in re.findall(r'part[!=]~"([a-z|]+)"', rule["expr"]) for name in text.split("|")}
    assert named
    assert named <= parts


def test_only_what_a_restart_mends_makes_it_unhealthy_and_anything_unready() -> None:
    wedged: list[str | None] = [None]
    checks = {"store": Check(ok=False, text="the disk is full; free some space")}
    server = Server(create_app(lambda: checks, lambda: b"", lambda: wedged[0]), listen("127.0.0.1", 0, "port"))
    server.start()
    try:
        codes = [requests.get(f"{server.address}/{page}", timeout=30).status_code for page in ("healthz", "readyz")]
        wedged[0] = "the main thread has hung for 6 min"
        answer = requests.get(f"{server.address}/healthz", timeout=30)
    finally:
        server.stop()
    assert codes == [200, 503]
    assert (answer.status_code, answer.text) == (503, "the main thread has hung for 6 min; restart alertd\n")
