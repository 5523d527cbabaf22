"""The verbs for operators: run that cannot start, status, send-test. What they say tells what to do."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from alertd.clock import SystemClock
from alertd.sandbox.mail import Mailbox
from alertd.sandbox.slack import create_slack
from alertd.sandbox.workspace import TOKEN as SLACK_TOKEN
from alertd.sandbox.workspace import FaultKind, SlackFault, Workspace
from alertd.store.database import open_database
from alertd.store.lock import hold
from alertd.web.serving import Server, listen
from tests.cli.shell import alertd

TOKEN = {"ALERTD_REPORTING__TOKEN": "a-token-of-the-tests"}


@pytest.fixture
def slack() -> Iterator[tuple[Workspace, dict[str, str]]]:
    """A Slack stand-in with the channel #alerts, and how to reach it."""
    workspace = Workspace(SystemClock(), ["alerts"])
    server = Server(create_slack(workspace), listen("127.0.0.1", 0, "port"))
    server.start()
    yield workspace, {"ALERTD_SLACK__URL": f"{server.address}/api/", "ALERTD_SLACK__BOT_TOKEN": SLACK_TOKEN}
    server.stop()


@pytest.fixture
def mail() -> Iterator[tuple[Mailbox, dict[str, str]]]:
    """A mailbox, and how to reach it."""
    mailbox = Mailbox(SystemClock())
    mailbox.start()
    settings = {"HOST": mailbox.host, "PORT": str(mailbox.port), "SENDER": "alertd@example.com", "TLS": "none"}
    yield mailbox, {f"ALERTD_EMAIL__{name}": value for name, value in settings.items()}
    mailbox.stop()


def test_run_without_a_token_says_what_to_set(tmp_path: Path, rules: Path) -> None:
    ran = alertd(tmp_path, "run", "--rules", "rules")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("alertd: ALERTD_REPORTING__TOKEN is not set.\n")
    assert "ALERTD_REPORTING__TOKEN_FILE" in ran.err
    assert "make demo" in ran.err
    assert [each.name for each in tmp_path.iterdir()] == ["rules"]


def test_run_with_a_token_file_that_is_not_there_names_it(tmp_path: Path, rules: Path) -> None:
    ran = alertd(tmp_path, "run", "--rules", "rules", ALERTD_REPORTING__TOKEN_FILE="secret")
    assert ran.code == 2
    assert "ALERTD_REPORTING__TOKEN_FILE" in ran.err
    assert "cannot be read: No such file or directory" in ran.err


def test_run_beside_another_daemon_names_its_process(tmp_path: Path, rules: Path) -> None:
    with hold(tmp_path / "alertd.db"):
        ran = alertd(tmp_path, "run", "--rules", "rules", **TOKEN)
    assert ran.code == 2
    assert f"another daemon (process {os.getpid()}) holds alertd.db; stop it, or give this one its own" in ran.err


def test_run_with_a_port_that_is_taken_names_the_setting(tmp_path: Path, rules: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ran = alertd(tmp_path, "run", "--rules", "rules", ALERTD_WEB__PORT=port, **TOKEN)
    assert ran.code == 2
    advice = f"alertd: port {port} of 127.0.0.1 is taken; stop what listens there, or choose another with ALERTD_WEB__PORT"
    assert advice in ran.err


def test_run_with_a_wrong_rule_file_shows_the_place(tmp_path: Path, rules: Path) -> None:
    text = (rules / "rules.yaml").read_text(encoding="utf-8")
    (rules / "rules.yaml").write_text(text.replace("filters", "fliters"), encoding="utf-8")
    ran = alertd(tmp_path, "run", "--rules", "rules", ALERTD_WEB__PORT="0", **TOKEN)
    assert ran.code == 1
    assert 'rules/rules.yaml:5:5: error: "fliters" is not a key of a rule' in ran.err
    assert 'did you mean "filters"?' in ran.err


def test_run_without_its_folder_says_which(tmp_path: Path) -> None:
    ran = alertd(tmp_path, "run", "--rules", "nowhere", ALERTD_WEB__PORT="0", **TOKEN)
    assert ran.code in (1, 2)
    assert "there is no folder or file nowhere" in ran.err


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("ALERTD_STORE__URL", "nonsense", "is not the URL of a store; write it like sqlite:////var/lib/alertd/alertd.db"),
        ("ALERTD_STORE__URL", "mysql://u:hidden@db/x", "must start with sqlite:/// or postgresql://, not with mysql:"),
        ("ALERTD_STORE__URL", "sqlite:////nowhere/alertd.db", "alertd needs to write the store's folder"),
        ("ALERTD_REPORTING__URL", "driftapi.com", "check ALERTD_REPORTING__URL"),
        ("ALERTD_WEB__PORT", "http", "ALERTD_WEB__PORT: "),
        ("ALERTD_BUDGET__RESERVE", "60", "less than ALERTD_BUDGET__CALLS_PER_MINUTE, or no call is left"),
        ("ALERTD_REPORTING", "x", "write ALERTD_REPORTING__URL and so on"),
    ],
)
def test_a_wrong_setting_is_named_without_a_traceback(
    variable: str, value: str, said: str, tmp_path: Path, rules: Path
) -> None:
    ran = alertd(tmp_path, "run", "--rules", "rules", **(TOKEN | {"ALERTD_WEB__PORT": "0", variable: value}))
    assert ran.code == 2
    assert said in ran.err
    assert "Traceback" not in ran.err
    assert "hidden" not in ran.err


def test_status_without_a_store_says_why(tmp_path: Path) -> None:
    ran = alertd(tmp_path, "status")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("alertd: there is no store at alertd.db; no daemon has run here yet")
    assert not list(tmp_path.iterdir())


def test_status_of_a_store_that_no_daemon_holds(tmp_path: Path) -> None:
    open_database(f"sqlite:///{tmp_path / 'alertd.db'}").close()
    ran = alertd(tmp_path, "status")
    lack = "there is no folder or file rules/starter; name the rules with ALERTD_RULES or --rules"
    assert ran.code == 0
    assert ran.out.splitlines() == [
        "daemon    not running",
        f"rulebook  none was taken yet; the rule files are wrong: {lack}",
        "rules     0 checked, 0 without evidence",
        "budget    54 of 60 calls free, 6 left to others",
        "outbox    0 to send, 0 dead",
        "alerts    0 firing, 0 pending",
    ]


def test_status_as_json_names_the_daemon(tmp_path: Path) -> None:
    open_database(f"sqlite:///{tmp_path / 'alertd.db'}").close()
    with hold(tmp_path / "alertd.db"):
        found = alertd(tmp_path, "status", "--json").json
    assert found["daemon"] == str(os.getpid())
    assert found["rules"] == found["alerts"] == []
    assert found["outbox"] == {"queued": 0, "dead": 0, "dead_letters": [], "warnings": []}
    assert found["budget"]["free"] == 54


def test_send_test_to_an_unknown_receiver_names_the_one_that_was_meant(tmp_path: Path, rules: Path) -> None:
    ran = alertd(tmp_path, "send-test", "taem", "--rules", "rules")
    assert (ran.code, ran.err) == (2, 'alertd: there is no receiver "taem"; did you mean team?\n')


def test_send_test_to_nothing_like_a_receiver_names_all(tmp_path: Path, rules: Path) -> None:
    ran = alertd(tmp_path, "send-test", "somebody", "--rules", "rules")
    assert (ran.code, ran.err) == (2, 'alertd: there is no receiver "somebody"; there are mail, team\n')


def test_send_test_without_the_secret_says_what_to_set(tmp_path: Path, rules: Path) -> None:
    ran = alertd(tmp_path, "send-test", "team", "--rules", "rules")
    expected = "alertd: team: #alerts needs a bot token: set ALERTD_SLACK__BOT_TOKEN or ALERTD_SLACK__BOT_TOKEN_FILE\n"
    assert (ran.code, ran.out, ran.err) == (1, "", expected)


def test_send_test_without_a_mail_server_says_what_to_set(tmp_path: Path, rules: Path) -> None:
    ran = alertd(tmp_path, "send-test", "mail", "--rules", "rules")
    expected = "alertd: mail: mail needs a server and a sender: set ALERTD_EMAIL__HOST and ALERTD_EMAIL__SENDER\n"
    assert (ran.code, ran.err) == (1, expected)


def test_send_test_reaches_slack(tmp_path: Path, rules: Path, slack: tuple[Workspace, dict[str, str]]) -> None:
    workspace, variables = slack
    ran = alertd(tmp_path, "send-test", "team", "--rules", "rules", **variables)
    assert (ran.code, ran.err) == (0, "team took the message; see that it has arrived.\n")
    assert [("test" in message.text.lower(), message.channel_name) for message in workspace.messages] == [(True, "alerts")]


def test_send_test_reaches_the_mailbox(tmp_path: Path, rules: Path, mail: tuple[Mailbox, dict[str, str]]) -> None:
    mailbox, variables = mail
    ran = alertd(tmp_path, "send-test", "mail", "--rules", "rules", **variables)
    assert (ran.code, ran.err) == (0, "mail took the message; see that it has arrived.\n")
    assert [("test" in each.subject.lower(), each.recipients) for each in mailbox.mails] == [(True, ("oncall@example.com",))]


def test_send_test_says_why_slack_refuses(tmp_path: Path, rules: Path, slack: tuple[Workspace, dict[str, str]]) -> None:
    workspace, variables = slack
    workspace.fail(SlackFault(FaultKind.REFUSE, error="not_in_channel"))
    ran = alertd(tmp_path, "send-test", "team", "--rules", "rules", **variables)
    assert ran.code == 1
    assert ran.err.startswith("alertd: team: ")
    assert "invite the app: /invite @alertd in #alerts" in ran.err


def test_send_test_with_a_wrong_token_says_so_and_hides_it(
    tmp_path: Path, rules: Path, slack: tuple[Workspace, dict[str, str]]
) -> None:
    variables = slack[1] | {"ALERTD_SLACK__BOT_TOKEN": "xoxb-wrong-and-secret"}
    ran = alertd(tmp_path, "send-test", "team", "--rules", "rules", **variables)
    assert ran.code == 1
    assert "set ALERTD_SLACK__BOT_TOKEN to its new bot token" in ran.err
    assert "wrong-and-secret" not in ran.err + ran.out


def test_send_test_says_why_the_mail_server_refuses(tmp_path: Path, rules: Path, mail: tuple[Mailbox, dict[str, str]]) -> None:
    mailbox, variables = mail
    mailbox.refuse("554 5.7.1 Relay denied")
    ran = alertd(tmp_path, "send-test", "mail", "--rules", "rules", **variables)
    assert ran.code == 1
    assert "554 5.7.1 Relay denied; check ALERTD_EMAIL__SENDER" in ran.err
