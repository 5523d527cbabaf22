"""A daemon that is a process: signals, health, a second one beside it, and surroundings that fail."""

from __future__ import annotations

import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from tests.cli.shell import Running, alertd, sandbox, started, until
from tests.processes.stage import RULES, TOKEN, Stage

LATEST_STOP = 10.0  # seconds: what containers get before they are killed

SECOND_RULE = """\
defaults: {owner: team, notify: [team-slack, team-mail], every: 10s, window: 30m, delay: 0s}
rules:
  - {id: another, title: Somebody is there, measure: count, warning: {above: 0}}
"""


def figures(stage: Stage, daemon: Running) -> dict[str, float]:
    """The daemon's metrics, each under its name and labels."""
    text = stage.get(daemon, "metrics").text
    samples = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
    return {sample.name + "".join(f" {value}" for value in sample.labels.values()): sample.value for sample in samples}


def stops(daemon: Running) -> None:
    """SIGTERM ends it in time, and well."""
    begun = time.monotonic()
    if daemon.process.poll() is None:
        daemon.signal(signal.SIGTERM)
    assert daemon.end(60) == 0, daemon.text
    assert time.monotonic() - begun < LATEST_STOP


def test_an_idle_daemon_answers_and_stops(stage: Stage) -> None:
    daemon = stage.start(ALERTD_LOG__LEVEL="info", ALERTD_SLACK__APP_TOKEN="")
    assert stage.get(daemon, "healthz").text == "ok\n"
    assert stage.ready(daemon) == {}
    assert figures(stage, daemon)["alertd_rules"] == 1
    stops(daemon)
    assert '"event": "stopped"' in daemon.text
    lines = [line for line in daemon.text.splitlines() if line]
    assert len(lines) == 2, daemon.text  # running, stopped: nothing else is worth a line


def test_a_second_daemon_on_the_same_store_names_the_first_and_leaves_it_alone(stage: Stage) -> None:
    daemon = stage.start()
    ran = alertd(stage.folder, "run", **stage.variables)
    assert ran.code == 2
    assert f"another daemon (process {daemon.process.pid}) holds alertd.db" in ran.err
    assert stage.ready(daemon) == {}
    told = alertd(stage.folder, "status", **stage.variables)
    assert (told.code, told.out.splitlines()[0]) == (0, f"daemon    running (process {daemon.process.pid})")


def test_many_signals_at_once_confuse_nobody(stage: Stage) -> None:
    daemon = stage.start()
    for _ in range(50):
        daemon.signal(signal.SIGHUP)
    until(lambda: "rule files have not changed" in daemon.text, "the rule files, looked at again")
    for _ in range(5):
        daemon.signal(signal.SIGTERM)
    stops(daemon)


def test_a_demo_that_is_told_to_end_leaves_nothing_behind(tmp_path: Path) -> None:
    with started(tmp_path, "demo", "--port", "0", TMPDIR=str(tmp_path)) as demo:
        demo.says("Ctrl-C ends it")
        assert [each.name.startswith("alertd-demo-") for each in tmp_path.iterdir()] == [True]
        stops(demo)
    assert not list(tmp_path.iterdir())


@pytest.mark.long
def test_rules_that_cannot_be_settled_are_seen(stage: Stage) -> None:
    daemon = stage.start()
    with closing(sqlite3.connect(stage.folder / "alertd.db", timeout=30)) as connection:
        connection.execute("DROP TABLE decisions")
    until(lambda: stage.ready(daemon), "not ready")
    assert stage.ready(daemon) == {"evaluation": "1 of 1 rules could not be settled; the log says why"}
    assert "no such table: decisions" in daemon.text
    stops(daemon)


@pytest.mark.long
def test_it_stops_in_time_while_the_api_and_slack_hang_and_sends_at_the_next_start(stage: Stage) -> None:
    stage.slack.mode = "hang"
    stage.rows.somebody_waits()
    first = stage.start()
    other = stage.folder / "other"
    other.mkdir()
    with sandbox(other, "--days", "0.01", "--fault", "slow:1:9s") as (address, _):
        store = {"ALERTD_REPORTING__URL": address, "ALERTD_STORE__URL": f"sqlite:///{other / 'other.db'}"}
        second = stage.start(**store)
        until(lambda: requests.get(f"{address}/sandbox/stats", timeout=30).json()["calls"], "a call that hangs")
        stops(second)
    until(lambda: stage.slack.turned_away, "a message that hangs")
    stops(first)
    stage.slack.mode = "open"
    stage.start()
    stage.told("opened")


@pytest.mark.long
def test_rule_files_are_loaded_on_sighup_and_wrong_ones_change_nothing(stage: Stage) -> None:
    stage.rows.somebody_waits()
    daemon = stage.start()
    stage.told("opened")
    stage.write(SECOND_RULE.replace("measure", "maesure"))
    daemon.signal(signal.SIGHUP)
    daemon.says("rule files not loaded, the last good ones stay")
    (why,) = stage.ready(daemon).values()
    assert why.startswith("the newest rule files are wrong, the last good ones run: the rules cannot be loaded: ")
    assert 'rules.yaml:3:45: "maesure" is not a key of a rule' in why
    assert figures(stage, daemon)["alertd_rulebook_ok"] == 0
    checks = figures(stage, daemon)["alertd_evaluations_total ok"]
    until(lambda: figures(stage, daemon)["alertd_evaluations_total ok"] > checks, "the old rule, checked again")
    stage.write(SECOND_RULE)
    daemon.signal(signal.SIGHUP)
    daemon.says("rule files loaded")
    assert stage.ready(daemon) == {}
    # The removed rule's incident ends, the new rule's begins; the fallback is told that the files are wrong, and mended.
    until(lambda: stage.in_slack() == ["opened", "resolved", "opened"], "the story in Slack")
    mended = ["opened", "opened", "resolved", "resolved", "opened"]
    until(lambda: sorted(stage.by_mail()) == sorted(mended), "the stories by mail")
    told = stage.rows_of("SELECT rule, closed_at IS NULL FROM incidents")
    assert told == [("nobody-answers", 0), ("alertd-rulebook", 0), ("another", 1)]
    mails = " ".join(each.text for each in stage.mailbox.mails)
    assert "The newest rule files are wrong" in mails
    assert "removed" in mails
    stops(daemon)


@pytest.mark.long
def test_a_broken_folder_is_noticed_unasked_and_survived_by_a_restart_after_a_kill(stage: Stage) -> None:
    stage.rows.somebody_waits()
    first = stage.start()
    stage.told("opened")
    stage.write("rules: [")
    first.says("rule files not loaded, the last good ones stay")
    until(lambda: "rulebook" in stage.ready(first), "not ready")
    first.signal(signal.SIGKILL)
    first.end()
    second = stage.start()
    assert "the last good ones run, as the store has them" in second.text
    assert "the last good ones run" in stage.ready(second)["rulebook"]
    status = alertd(stage.folder, "status", **stage.variables).out
    assert "rulebook  no commit, taken" in status
    assert "the newest rule files are wrong, the last good ones run" in status
    until(lambda: figures(stage, second).get("alertd_evaluations_total ok"), "the old rule, checked")
    stage.write(RULES)
    until(lambda: not stage.ready(second), "ready again")
    assert second.text.count("rule files not loaded") == 1
    assert stage.in_slack() == ["opened"]  # the alert goes on as if nothing had happened
    stops(second)


@pytest.mark.long
def test_readiness_follows_the_api_and_the_token_and_each_change_is_one_line(stage: Stage) -> None:
    arguments = ("--days", "0.01", "--token", TOKEN)
    with sandbox(stage.folder, *arguments) as (address, _):
        daemon = stage.start(ALERTD_REPORTING__URL=address)
        until(lambda: figures(stage, daemon).get("alertd_calls_total ok"), "the first answer")
        assert stage.ready(daemon) == {}
    until(lambda: stage.ready(daemon), "not ready without the API")
    expected = "1 of 1 rules: 127.0.0.1 refused the connection; check the address and the port, and that it is running"
    assert stage.ready(daemon) == {"source": expected}
    missed = figures(stage, daemon)["alertd_calls_total unreachable"]
    until(lambda: figures(stage, daemon)["alertd_calls_total unreachable"] > missed, "the next failure")
    with sandbox(stage.folder, *arguments, port=int(address.rpartition(":")[2])):
        until(lambda: not stage.ready(daemon), "ready again")
        (stage.folder / "token").write_text("another-that-opens-nothing", encoding="utf-8")
        until(lambda: stage.ready(daemon), "not ready with a wrong token")
        assert stage.ready(daemon)["source"].startswith(
            "1 of 1 rules: the API refuses the token (401); check ALERTD_REPORTING__TO"
        )
        (stage.folder / "token").write_text(TOKEN, encoding="utf-8")
        until(lambda: not stage.ready(daemon), "ready with the right token")
    stops(daemon)
    assert daemon.text.count("rules cannot be judged") == 2
    assert daemon.text.count("all rules are judged again") == 2


@pytest.mark.long
def test_without_any_way_to_tell_people_it_runs_on_and_shows_what_is_dead(stage: Stage) -> None:
    stage.rows.somebody_waits()
    nothing = {"ALERTD_SLACK__BOT_TOKEN": "", "ALERTD_EMAIL__HOST": "", "ALERTD_EMAIL__SENDER": ""}
    daemon = stage.start(**nothing)
    assert daemon.text.count('"event": "receiver cannot be used"') == 2
    until(lambda: figures(stage, daemon)["alertd_outbox dead"] == 2, "two dead messages", within=300)
    assert figures(stage, daemon)["alertd_alerts_firing warning"] == 1
    text = stage.get(daemon, "readyz").json()["checks"]["delivery"]["text"]
    assert text.startswith("nothing to send; 2 of the last hour reached nobody, `alertd status` says why; ready again when")
    assert "team-slack cannot be used: #alerts needs a bot token" in text
    status = alertd(stage.folder, "status", **stage.variables)
    assert "#alerts needs a bot token: set ALERTD_SLACK__BOT_TOKEN" in status.out
    assert "mail needs a server and a sender" in status.out
    stops(daemon)


@pytest.mark.long
def test_what_slack_refuses_for_good_goes_to_the_fallback(stage: Stage) -> None:
    stage.rows.somebody_waits()
    stage.write(SECOND_RULE.replace("[team-slack, team-mail]", "team-slack"))
    daemon = stage.start(ALERTD_SLACK__BOT_TOKEN="xoxb-not-this-one")
    until(lambda: stage.by_mail() == ["opened"], "the opening at the fallback")
    assert stage.ready(daemon) == {}
    assert "not-this-one" not in daemon.text
    stops(daemon)
