"""An incident from its opening to its end, told by a daemon that is a process, also when it is killed in between."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

import pytest

from tests.cli.shell import Running, sandbox, started, until
from tests.processes.stage import TOKEN, Stage

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("demo")]

# 28 conversations in half a minute, four times as many in a rush: chance alone reaches the limit in neither direction.
TRAFFIC = ("--profile", "flat", "--per-day", "80000", "--days", "0.02", "--scenario", "rush@0s+30s")
RUSH_RULES = """\
defaults: {owner: team, notify: [team-slack, team-mail], every: 10s, window: 30s, delay: 0s}
rules:
  - {id: rush, title: Many visitors at once, measure: count, warning: {above: 60}}
"""


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The demo, which takes two minutes: begun with the first test of this file, so that the others run meanwhile."""
    with started(tmp_path_factory.mktemp("demo"), "demo", "--until-resolved", "--timeout", "10m") as running:
        yield running


def test_a_rush_is_told_when_it_comes_and_when_it_is_over_in_both_channels(stage: Stage) -> None:
    stage.write(RUSH_RULES)
    with sandbox(stage.folder, *TRAFFIC, "--token", TOKEN) as (address, _):
        daemon = stage.start(ALERTD_REPORTING__URL=address)
        stage.told("opened", "resolved")
        assert stage.ready(daemon) == {}
    root, reply = stage.workspace.messages
    assert (root.thread_ts, reply.thread_ts, reply.broadcast) == (None, root.ts, True)
    assert root.edits  # it has been brought up to date: it says that it is over
    first, last = stage.mailbox.mails
    assert last.header("References") == first.header("Message-ID")
    assert stage.repeats() == 0


def test_killed_while_it_opens_and_while_the_end_is_queued_it_loses_nothing_and_keeps_the_order(stage: Stage) -> None:
    kills = 0
    stage.rows.somebody_waits()
    daemon = stage.start()
    daemon.says('"kind": "opened"')
    daemon.signal(signal.SIGKILL)
    kills += 1
    daemon.end()
    daemon = stage.start()
    stage.told("opened")
    stage.slack.mode = "refuse"
    stage.rows.somebody_answers()
    until(lambda: stage.slack.turned_away and stage.by_mail() == ["opened", "resolved"], "the end by mail, and Slack down")
    for moment in (0.0, 0.3, 1.2):
        daemon.signal(signal.SIGKILL)
        kills += 1
        assert daemon.end() == -signal.SIGKILL
        daemon = stage.start()
        time.sleep(moment)  # when it is killed next; nothing is expected of it until then
    assert stage.in_slack() == ["opened"]
    stage.slack.mode = "open"
    stage.told("opened", "resolved")
    roots = {each.ts for each in stage.workspace.messages if each.thread_ts is None}  # two, if the opening was repeated
    assert stage.workspace.messages[-1].thread_ts in roots
    assert stage.repeats() <= kills
    assert stage.rows_of("SELECT count(*) FROM incidents WHERE closed_at IS NOT NULL") == [(1,)]


def test_killed_while_slack_keeps_it_waiting_it_repeats_that_one_message_with_its_key(stage: Stage) -> None:
    stage.slack.mode = "mute"
    stage.rows.somebody_waits()
    daemon = stage.start()
    until(lambda: stage.slack.turned_away, "the opening at Slack's door")
    daemon.signal(signal.SIGKILL)
    daemon.end()
    assert [each.repeat for each in stage.workspace.messages] == [False]  # taken, although nobody told the daemon
    stage.slack.mode = "open"
    daemon = stage.start()
    daemon.says("sending again what a killed daemon was sending")
    until(lambda: len(stage.workspace.messages) == 2, "the repeat")
    first, again = stage.workspace.messages
    assert (first.client_msg_id, again.repeat) == (again.client_msg_id, True)
    assert "may have arrived" in str(again.blocks) + again.text
    stage.told("opened")


def test_the_demo_shows_an_incident_from_its_beginning_to_its_end(demo: Running) -> None:
    assert demo.end(660) == 0, demo.text
    assert "The inbox: http://127.0.0.1:" in demo.text
    assert demo.text.index("opened, in Slack and by mail") < demo.text.index("resolved, in Slack and by mail")
    assert '"level": "error"' not in demo.text
    assert "Traceback" not in demo.text
