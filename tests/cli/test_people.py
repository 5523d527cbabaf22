"""What people do by hand, as processes over a store: `ack` and `silence`, and what `status` shows of it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from alertd.clock import DAY, HOUR, MINUTE, SystemClock, iso
from alertd.facts import Kind, Level
from alertd.notice import from_json
from alertd.notices.incidents import Incident, last_incident, save_incident
from alertd.notices.silences import Silence, add
from alertd.notices.telling import tell
from alertd.rulebook.keeping import keep
from alertd.store.database import Database, open_database
from alertd.store.tables import deliveries, notices, rules
from alertd.testing import a_notice
from tests.cli.shell import Ran, alertd

RULES = """\
defaults: {owner: support, notify: team, every: 1d, window: 5m}
rules:
  - {id: slow, labels: {team: support}, measure: {median: cqlScore}, warning: {above: 5}, critical: {above: 9}}
  - {id: agents, labels: {team: sales}, by: lastAgentId, measure: {median: cqlScore}, warning: {above: 5}}
"""
RECEIVERS = 'receivers: {team: {slack: {channel: "#alerts"}}}\n'
OPENED = 1_793_000_000_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the store of a daemon that runs two rules; incident 1 is over, 2 (agents) and 3 (slow) are open."""
    with closing(store(tmp_path)) as database, database.write() as transaction:
        keep(transaction, "test", {"rules.yaml": RULES, "receivers.yaml": RECEIVERS}, OPENED)
        closed = Incident("slow", OPENED - DAY, Level.WARNING, Level.WARNING, closed_at=OPENED - HOUR)
        for each in (
            closed,
            Incident("agents", OPENED, Level.WARNING, Level.WARNING),
            Incident("slow", OPENED, Level.CRITICAL, Level.CRITICAL, muted="silenced until tomorrow by ada"),
        ):
            save_incident(transaction, each)
    return tmp_path


def store(folder: Path) -> Database:
    return open_database(f"sqlite:///{folder / 'alertd.db'}")


def say(folder: Path, *arguments: str, **variables: str) -> Ran:
    return alertd(folder, *arguments, **({"LOGNAME": "grace"} | variables))


def who_has(folder: Path, rule: str) -> str | None:
    with closing(store(folder)) as database, database.read() as transaction:
        found = last_incident(transaction, rule)
    return found.acknowledged_by if found else None


def silenced(folder: Path) -> list[tuple[object, ...]]:
    """Rule, group, length, author and comment of each silence."""
    with closing(sqlite3.connect(folder / "alertd.db")) as connection:
        query = 'SELECT rule, "group", until - "from", author, comment FROM silences ORDER BY id'
        return [tuple(row) for row in connection.execute(query)]


def a_silence(folder: Path, *, begins: int = 0, lasts: int = HOUR) -> int:
    start = SystemClock().now() + begins
    with closing(store(folder)) as database, database.write() as transaction:
        return add(transaction, Silence(start, start + lasts, "ada", "known", rule="slow"))


def test_without_a_number_the_open_incidents_are_listed_the_worst_first(folder: Path) -> None:
    ran = say(folder, "ack")
    assert (ran.code, ran.err) == (0, "")
    told = "nobody has acknowledged it"
    assert ran.out.splitlines() == [
        f"3          critical slow since {iso(OPENED)}; {told}; nobody is told: silenced until tomorrow by ada",
        f"2          warning  agents since {iso(OPENED)}; {told}",
    ]
    assert [each["incident"] for each in say(folder, "ack", "--json").json["incidents"]] == [3, 2]


def test_where_nothing_is_open_it_says_so_and_prints_no_data(tmp_path: Path) -> None:
    store(tmp_path).close()
    ran = say(tmp_path, "ack")
    assert (ran.code, ran.out, ran.err) == (0, "", "No incident is open.\n")


def test_an_incident_is_acknowledged_by_whoever_is_logged_in(folder: Path) -> None:
    ran = say(folder, "ack", "3")
    assert (ran.code, ran.err) == (0, "")
    assert "incident 3 (slow, critical): acknowledged by grace; no reminders, no escalation" in ran.out
    assert (who_has(folder, "slow"), who_has(folder, "agents")) == ("grace", None)
    assert "slow since 2026-10-26T07:33:20Z; acknowledged by grace at " in say(folder, "status").out


def test_it_is_named_by_its_rule_too_and_given_back(folder: Path) -> None:
    found = say(folder, "ack", "--rule", "agents", "--by", " Ada \n Lovelace", "--json").json["incidents"]
    assert [(each["incident"], each["acknowledged_by"]) for each in found] == [(2, "Ada Lovelace")]
    assert who_has(folder, "agents") == "Ada Lovelace"
    ran = say(folder, "ack", "2", "--undo")
    assert "nobody has it any more; reminders and escalation go on" in ran.out
    assert who_has(folder, "agents") is None


def told(folder: Path) -> None:
    """The receiver team has been told of incident 3."""
    with closing(store(folder)) as database, database.write() as transaction:
        tell(transaction, a_notice(incident=3), {"team": Kind.OPENED}, {}, OPENED)


def shown(folder: Path) -> list[tuple[str, str | None, str | None]]:
    """What each message about incident 3 says: its kind, who has it, until when it is silenced and by whom."""
    with closing(store(folder)) as database, database.read() as transaction:
        bodies = [from_json(body) for body in transaction.scalars(sa.select(notices.c.body).order_by(notices.c.id))]
        kinds = transaction.scalars(sa.select(deliveries.c.kind).order_by(deliveries.c.id)).all()
    return [(kind, body.acknowledged, body.silenced) for kind, body in zip(kinds, bodies, strict=True)]


def test_messages_show_what_is_done_on_the_command_line(folder: Path) -> None:
    told(folder)
    assert say(folder, "ack", "3").code == 0
    assert say(folder, "silence", "add", "--for", "2h", "--rule", "slow").code == 0
    assert say(folder, "silence", "end", "1").code == 0
    assert say(folder, "ack", "3", "--undo").code == 0
    found = shown(folder)
    assert [(kind, name) for kind, name, _ in found] == [
        ("opened", None),
        *[("refreshed", "grace")] * 3,
        ("refreshed", None),
    ]
    assert [bool(silenced) for _, _, silenced in found] == [False, False, True, False, False]
    assert str(found[2][2]).endswith(" by grace")


def test_a_silence_that_begins_later_is_not_shown_yet(folder: Path) -> None:
    told(folder)
    begins = iso(SystemClock().now() // DAY * DAY + 3 * DAY)
    assert say(folder, "silence", "add", "--for", "2h", "--rule", "slow", "--from", begins).code == 0
    assert len(shown(folder)) == 1


def test_whoever_has_it_keeps_it_until_it_is_given_back(folder: Path) -> None:
    assert say(folder, "ack", "3", "--by", "Ada").code == 0
    ran = say(folder, "ack", "3")
    assert ran.err.startswith("alertd: incident 3: Ada has it already, since ")
    assert ran.err.endswith(" UTC. To take it over: alertd ack 3 --undo, then again.\n")
    assert "acknowledged by Ada" in ran.out
    assert who_has(folder, "slow") == "Ada"
    assert say(folder, "ack", "3", "--by", "Ada").err == ""


def test_a_number_that_is_not_open_changes_nothing_and_names_those_that_are(folder: Path) -> None:
    for wrong in ("1", "99", "99999999999999999999"):
        ran = say(folder, "ack", "2", wrong)
        assert (ran.code, ran.out) == (2, "")
        assert ran.err == f"alertd: there is no open incident {wrong}; open: 3 (slow), 2 (agents)\n"
    assert who_has(folder, "agents") is None


def test_a_rule_without_an_open_incident_says_which_was_meant(folder: Path) -> None:
    ran = say(folder, "ack", "--rule", "agent")
    assert ran.code == 2
    assert 'rule "agent" has no open incident; did you mean agents? open: 3 (slow), 2 (agents)' in ran.err


@pytest.mark.parametrize("words", [("ack", "--undo"), ("ack", "--by", "ada")])
def test_an_acknowledgement_of_nothing_is_wrong_use(words: tuple[str, ...], folder: Path) -> None:
    ran = say(folder, *words)
    assert (ran.code, ran.out) == (2, "")
    assert "name the incident by its number or with --rule" in ran.err


def test_whoever_has_no_name_is_asked_for_one(folder: Path) -> None:
    ran = say(folder, "ack", "2", "--by", " ")
    assert (ran.code, ran.err) == (2, "alertd: it is not known who you are; say it with --by NAME\n")


@pytest.mark.parametrize("words", [("ack",), ("silence", "add", "--for", "1h", "--rule", "slow"), ("silence", "list")])
def test_without_a_store_none_is_made(words: tuple[str, ...], tmp_path: Path) -> None:
    ran = say(tmp_path, *words)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("alertd: there is no store at alertd.db; no daemon has run here yet")
    assert not list(tmp_path.iterdir())


def test_a_silence_says_what_it_is_about_until_when_and_how_to_end_it(folder: Path) -> None:
    ran = say(folder, "silence", "add", "--for", "2h", "--rule", "slow", "--comment", "new\nhires")
    assert (ran.code, ran.err) == (0, "")
    first, second, third = ran.out.splitlines()
    assert first.startswith("silence 1: slow, from the next check on until ")
    assert first.endswith("Z (2 h)")
    assert (second, third) == ("matches 1 of 2 rules now: slow", "end it with: alertd silence end 1")
    assert silenced(folder) == [("slow", None, 2 * HOUR, "grace", "new hires")]
    status = say(folder, "status").out
    assert "silences  1 in force\n  1          holds    slow until " in status
    assert " by grace: new hires\n" in status


@pytest.mark.parametrize(
    ("words", "rules"),
    [
        (("--group", "lastAgentId=7"), ["agents"]),
        (("--group", "lastAgentId=007", "--rule", "agents"), ["agents"]),
        (("--label", "team=support"), ["slow"]),
        (("--label", "owner=support"), ["slow", "agents"]),
        (("--label", "level=critical"), ["slow"]),
        (("--label", "level=warning", "--label", "team=sales"), ["agents"]),
        (("--everything",), ["slow", "agents"]),
    ],
)
def test_it_knows_the_rules_that_match_in_all_that_is_named(words: tuple[str, ...], rules: list[str], folder: Path) -> None:
    found = say(folder, "silence", "add", "--for", "1h", *words, "--json").json
    assert (found["silence"], found["rules"]) == (1, rules)
    assert found["group"] in (None, "lastAgentId=7")


@pytest.mark.parametrize(
    ("words", "warning"),
    [
        (("--rule", "agent"), 'the rulebook has no rule "agent"; did you mean agents?'),
        (("--label", "taem=support"), 'no rule has a label "taem"; did you mean team?'),
        (("--label", "team=suport"), "no rule has team=suport; did you mean support?"),
        (("--rule", "slow", "--group", "lastAgentId=7"), "rule slow has no groups by lastAgentId"),
        (("--group", "firstAgentId=7"), "no rule has groups by firstAgentId"),
        (("--rule", "slow", "--label", "team=sales"), "no rule of the rulebook matches in all of that at present"),
        (("--everything",), "nobody is told of any alert while it holds, however bad; better name a rule, a group or a label"),
    ],
)
def test_what_may_not_be_meant_is_added_with_a_warning(words: tuple[str, ...], warning: str, folder: Path) -> None:
    ran = say(folder, "silence", "add", "--for", "1h", *words)
    assert (ran.code, ran.err) == (0, f"alertd: warning: {warning}\n")
    assert len(silenced(folder)) == 1


def test_without_a_rulebook_it_is_added_all_the_same(tmp_path: Path) -> None:
    store(tmp_path).close()
    ran = say(tmp_path, "silence", "add", "--for", "1h", "--rule", "slow")
    assert ran.code == 0
    assert "the rulebook cannot be loaded, so it is not known which rules this is about" in ran.err
    assert "matches" not in ran.out
    assert len(silenced(tmp_path)) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--for", "1h"), "say what is silenced with --rule, --group or --label, or everything with --everything"),
        (("--for", "1h", "--everything", "--rule", "slow"), "--everything is without --rule, --group and --label"),
        (("--for", "30d1s", "--rule", "slow"), "a silence lasts 30d at most"),
        (("--for", "0s", "--rule", "slow"), "a silence has to last for a time"),
        (("--for", "2", "--rule", "slow"), '--for: "2" has no unit; write 2s, 2m, 2h or 2d'),
        (("--for", "1h", "--rule", "slow", "--from", "2020-01-01"), "so this silence would never hold"),
        (("--for", "1h", "--rule", "slow", "--from", "9999-12-31T23:30"), "so this silence would never hold"),
        (("--for", "1h", "--rule", "slow", "--from", "tomorrow"), '--from: "tomorrow" is not a time'),
        (("--for", "1h", "--group", "7"), "write it like lastAgentId=7"),
        (("--for", "1h", "--group", "lastAgent=7"), 'no groups by "lastAgent"; did you mean lastAgentId?'),
        (("--for", "1h", "--label", "team"), '"team" is not a label with its value; write it like team=support'),
    ],
)
def test_what_cannot_be_meant_is_refused(words: tuple[str, ...], said: str, folder: Path) -> None:
    ran = say(folder, "silence", "add", *words)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
    assert silenced(folder) == []


def test_it_may_last_for_thirty_days_and_begin_later(folder: Path) -> None:
    begins = SystemClock().now() // DAY * DAY + 3 * DAY
    ran = say(folder, "silence", "add", "--for", "30d", "--rule", "slow", "--from", iso(begins)[:-1] + "+00:00")
    assert f"slow, from {iso(begins)} until {iso(begins + 30 * DAY)} (30 d)" in ran.out
    found = say(folder, "silence", "list", "--json").json["silences"]
    assert [(each["from"], each["state"]) for each in found] == [(iso(begins), "not yet")]
    assert "silences" not in say(folder, "status").out


def test_a_silence_that_is_ended_is_listed_with_all_only(folder: Path) -> None:
    a_silence(folder)
    ran = say(folder, "silence", "end", "1")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == "silence 1 (slow) is over; what still fires is told at the next check\n"
    listed = say(folder, "silence", "list")
    assert (listed.code, listed.out, listed.err) == (0, "", "Nothing is silenced.\n")
    assert say(folder, "silence", "list", "--all").out.startswith("1          over     slow until ")


def test_one_that_is_to_come_can_be_ended_too(folder: Path) -> None:
    a_silence(folder, begins=DAY)
    assert say(folder, "silence", "end", "1").code == 0
    assert say(folder, "silence", "list").out == ""


def test_to_end_one_that_is_over_names_those_that_are_not(folder: Path) -> None:
    a_silence(folder, begins=-HOUR, lasts=MINUTE)
    a_silence(folder)
    for wrong in ("1", "99999999999999999999"):
        ran = say(folder, "silence", "end", wrong)
        assert ran.code == 2
        assert ran.err == f"alertd: there is no silence {wrong} that holds or will; there are: 2 (slow)\n"


def test_status_counts_the_rules_that_were_checked_and_names_receivers_that_lack_something(folder: Path) -> None:
    ran = say(folder, "status")
    assert "rules     0 of 2 checked, 0 without evidence\n" in ran.out
    lack = "#alerts needs a bot token: set ALERTD_SLACK__BOT_TOKEN or ALERTD_SLACK__BOT_TOKEN_FILE"
    assert f"  team cannot be used: {lack}; until then its messages reach nobody\n" in ran.out
    found = say(folder, "status", "--json").json
    assert (found["rules_known"], found["receivers_lacking"]) == (2, {"team": lack})
    assert [each["incident"] for each in found["incidents"]] == [3, 2]
    assert "receivers" not in say(folder, "status", ALERTD_SLACK__BOT_TOKEN="xoxb-1").out


def test_status_says_where_a_dead_message_was_to_go_and_where_it_was_sent_in_its_place(folder: Path) -> None:
    with closing(store(folder)) as database, database.write() as transaction:
        for number, (incident, via) in enumerate(((2, "mail"), (3, "mail"), (None, "team")), 1):
            notice = {"id": number, "incident": incident, "kind": "opened", "at": OPENED, "body": "{}"}
            transaction.execute(sa.insert(notices).values(notice))
            where = {"notice": number, "incident": incident, "receiver": "team", "via": via, "kind": "opened", "key": "k"}
            how = {"state": "dead", "attempts": 1, "queued_at": OPENED, "due_at": OPENED, "ambiguous": False, "error": "gone"}
            transaction.execute(sa.insert(deliveries).values(where | how))
    lines = say(folder, "status").out.splitlines()
    assert "  dead       opened to team, in its place to mail (incident 3), and 1 more: gone" in lines
    assert "  dead       opened to team: gone" in lines


def test_status_says_when_rules_were_checked_last_and_which_should_have_been_since(folder: Path) -> None:
    now = SystemClock().now()
    with closing(store(folder)) as database, database.write() as transaction:
        for name, due_at in (("slow", now - 3 * DAY), ("agents", now - MINUTE)):
            row = {"rule": name, "due_at": due_at, "as_of": due_at, "question": "", "evidence": "ok", "reason": "", "missed": 0}
            transaction.execute(sa.insert(rules).values(row))
    (line,) = (line for line in say(folder, "status").out.splitlines() if line.startswith("rules"))
    assert line.startswith("rules     2 of 2 checked, 0 without evidence; the last 1 min")
    assert line.endswith(" ago; 1 OVERDUE, `/readyz` or the log says why")
