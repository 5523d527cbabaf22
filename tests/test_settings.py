"""Settings come from the environment; what is wrong is named, all at once, and no value is ever told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from alertd.clock import DAY, MINUTE
from alertd.errors import SettingsError
from alertd.settings import (
    MAIL_PASSWORD,
    SECRETS,
    SLACK_TOKEN,
    TOKEN,
    BudgetSettings,
    Secrets,
    Settings,
    access,
    environment,
    known_names,
    load,
    unknown_names,
)

SECRET = "xoxb-do-not-tell"

# Every setting with a value that is not its default, and what it is then.
SOME = {
    "ALERTD_RULES": ("/rules", Path("/rules")),
    "ALERTD_TEMPLATES": ("/templates", Path("/templates")),
    "ALERTD_REPORTING__URL": ("https://reports.example.com", "https://reports.example.com"),
    "ALERTD_REPORTING__TIMEOUT": ("20s", 20_000),
    "ALERTD_REPORTING__ALLOW_PLAIN_HTTP": ("true", True),
    "ALERTD_REPORTING__PROXY": ("http://proxy.example.com:3128", "http://proxy.example.com:3128"),
    "ALERTD_REPORTING__CA_FILE": ("/ca.pem", Path("/ca.pem")),
    "ALERTD_BUDGET__CALLS_PER_MINUTE": ("30", 30),
    "ALERTD_BUDGET__RESERVE": ("3", 3),
    "ALERTD_STORE__URL": ("sqlite:////data/alertd.db", "sqlite:////data/alertd.db"),
    "ALERTD_STORE__RETENTION": ("30d", 30 * DAY),
    "ALERTD_SLACK__URL": ("https://slack.example.com/api/", "https://slack.example.com/api/"),
    "ALERTD_EMAIL__HOST": ("smtp.example.com", "smtp.example.com"),
    "ALERTD_EMAIL__PORT": ("2525", 2525),
    "ALERTD_EMAIL__USERNAME": ("alertd", "alertd"),
    "ALERTD_EMAIL__SENDER": ("alertd@example.com", "alertd@example.com"),
    "ALERTD_EMAIL__TLS": ("none", "none"),
    "ALERTD_WEBHOOK__ALLOW_PRIVATE": ("true", True),
    "ALERTD_HEARTBEAT__EVERY": ("5m", 5 * MINUTE),
    "ALERTD_WEB__HOST": ("0.0.0.0", "0.0.0.0"),
    "ALERTD_WEB__PORT": ("0", 0),
    "ALERTD_LOG__LEVEL": ("debug", "debug"),
    "ALERTD_LOG__FORMAT": ("json", "json"),
}


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in (*known_names(), *SECRETS):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(f"{name}_FILE", raising=False)


def value_of(settings: Settings, name: str) -> object:
    found: object = settings
    for part in name.removeprefix("ALERTD_").lower().split("__"):
        found = getattr(found, part)
    return found


def test_the_table_of_this_test_has_every_setting() -> None:
    assert set(SOME) == set(known_names())


@pytest.mark.parametrize("name", SOME)
def test_each_variable_is_read(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    text, value = SOME[name]
    assert value_of(load(), name) != value
    monkeypatch.setenv(name, text)
    assert value_of(load(), name) == value


def test_without_any_variable_the_defaults_hold() -> None:
    assert load().model_dump() == Settings().model_dump()


def test_an_empty_variable_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text(f"{TOKEN}={SECRET}\nALERTD_WEB__PORT=9000\n")
    monkeypatch.setenv("ALERTD_WEB__PORT", "")
    monkeypatch.setenv(TOKEN, "")
    assert load().web.port == 9000
    assert Secrets(environment()).read(TOKEN) == SECRET


WRONG = {
    "ALERTD_REPORTING__TIMEOUT": "soon",
    "ALERTD_REPORTING__ALLOW_PLAIN_HTTP": "perhaps",
    "ALERTD_BUDGET__CALLS_PER_MINUTE": "many",
    "ALERTD_BUDGET__RESERVE": "some",
    "ALERTD_STORE__RETENTION": "1s",
    "ALERTD_WEB__HOST": "https://0.0.0.0/",
    "ALERTD_EMAIL__PORT": "70000",
    "ALERTD_EMAIL__TLS": "maybe",
    "ALERTD_WEB__PORT": "http",
    "ALERTD_LOG__LEVEL": "loud",
    "ALERTD_LOG__FORMAT": "yaml",
}


def test_all_wrong_variables_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in WRONG.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load()
    assert {line.split(":")[0] for line in str(caught.value).splitlines()} == set(WRONG)


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_variable_is_told_without_its_value(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, SECRET)
    with pytest.raises(SettingsError, match=f"^{name}: ") as caught:
        load()
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("name", ["ALERTD_RULES", "ALERTD_TEMPLATES", "ALERTD_REPORTING__CA_FILE"])
@pytest.mark.parametrize("value", [SECRET, "7f3a9c1e5b2d4860a1c3", f"https://hooks.example.com/{SECRET}"])
def test_a_secret_where_a_file_is_named_is_told_without_its_value(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=f"^{name}: looks like a secret or an address") as caught:
        load()
    assert value not in str(caught.value)


def test_a_folder_that_is_there_may_have_any_name(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("7f3a9c1e5b2d4860a1c3").mkdir()
    monkeypatch.setenv("ALERTD_RULES", "7f3a9c1e5b2d4860a1c3")
    assert load().rules == Path("7f3a9c1e5b2d4860a1c3")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "fe80::1%eth0", "localhost", "alertd-5d8f6b7c9d-x2x7k", "a_b.example.com"])
def test_the_page_may_be_served_at_any_name_or_address(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("ALERTD_WEB__HOST", host)
    assert load().web.host == host


@pytest.mark.parametrize("value", [SECRET, "5", "[1]", "{"])
def test_a_section_is_not_a_variable(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("ALERTD_REPORTING", value)
    with pytest.raises(SettingsError, match="ALERTD_REPORTING") as caught:
        load()
    assert SECRET not in str(caught.value)


def test_a_duration_without_a_unit_is_told_how_to_write_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALERTD_REPORTING__TIMEOUT", "12")
    with pytest.raises(SettingsError, match=r"^ALERTD_REPORTING__TIMEOUT: is not a duration; write it like 90s, 5m or 90d$"):
        load()


@pytest.mark.parametrize(("calls", "reserve"), [("10", "10"), ("10", "11"), ("6", None), ("1", "1")])
def test_a_reserve_that_leaves_no_call_is_refused(monkeypatch: pytest.MonkeyPatch, calls: str, reserve: str | None) -> None:
    monkeypatch.setenv("ALERTD_BUDGET__CALLS_PER_MINUTE", calls)
    if reserve:
        monkeypatch.setenv("ALERTD_BUDGET__RESERVE", reserve)
    with pytest.raises(SettingsError, match=r"^ALERTD_BUDGET__RESERVE: must be less than ALERTD_BUDGET__CALLS_PER_MINUTE"):
        load()


def test_a_reserve_that_leaves_one_call_is_enough() -> None:
    assert BudgetSettings(calls_per_minute=1, reserve=0).reserve == 0


def test_a_secret_stands_in_no_dump_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SECRETS:
        monkeypatch.setenv(name, SECRET)
    assert SECRET not in repr(load())
    assert SECRET not in load().model_dump_json()
    secrets = Secrets(environment())
    secrets.read(TOKEN)
    assert SECRET not in repr(secrets)


def test_the_environment_comes_before_dot_env(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("ALERTD_WEB__PORT=9000\nALERTD_WEB__HOST=0.0.0.0\nOTHER=from-file\n")
    monkeypatch.setenv("ALERTD_WEB__PORT", "9001")
    monkeypatch.setenv("OTHER", "from-environment")
    assert (load().web.port, load().web.host) == (9001, "0.0.0.0")
    assert environment()["OTHER"] == "from-environment"
    assert environment()["ALERTD_WEB__HOST"] == "0.0.0.0"


def test_a_secrets_file_in_the_environment_comes_before_the_secret_in_dot_env(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text(f"{TOKEN}=old\n")
    Path("token").write_text("new")
    monkeypatch.setenv(f"{TOKEN}_FILE", "token")
    assert Secrets(environment()).read(TOKEN) == "new"


def test_a_secret_in_the_environment_comes_before_the_secrets_file_in_dot_env(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("token").write_text("old")
    Path(".env").write_text(f"{TOKEN}_FILE=token\n")
    monkeypatch.setenv(TOKEN, "new")
    assert Secrets(environment()).read(TOKEN) == "new"


@pytest.mark.parametrize("read", [load, environment])
def test_a_dot_env_that_is_no_text_is_told_without_its_content(read: Callable[[], object]) -> None:
    Path(".env").write_bytes(f"{TOKEN}={SECRET}\xff\n".encode("latin-1"))
    with pytest.raises(SettingsError, match=r"^\.env .* cannot be read") as caught:
        read()
    assert SECRET not in str(caught.value)


def test_what_looks_like_a_setting_and_is_none_is_told_with_the_name_that_was_meant() -> None:
    variables = {
        "ALERTD_REPORTING__TOKN": "1",
        "ALERTD_RULE": "1",
        "ALERTD_WEB_PORT": "1",
        "ALERTD_ZZZ": "1",
        "PATH": "1",
        **dict.fromkeys(SOME, "1"),
        **dict.fromkeys(SECRETS, "1"),
        f"{SLACK_TOKEN}_FILE": "1",
    }
    assert unknown_names(variables) == {
        "ALERTD_REPORTING__TOKN": TOKEN,
        "ALERTD_RULE": "ALERTD_RULES",
        "ALERTD_WEB_PORT": "ALERTD_WEB__PORT",
        "ALERTD_ZZZ": None,
    }


@pytest.mark.parametrize("name", [*SECRETS, "SUPPORT_WEBHOOK_URL"])
def test_a_secret_is_read_by_name_or_from_the_file_its_twin_names(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret").write_text(f"\ufeff{SECRET}\r\n", encoding="utf-8")
    assert Secrets({name: f" {SECRET}\n"}).read(name) == SECRET
    assert Secrets({f"{name}_FILE": str(tmp_path / "secret")}).read(name) == SECRET
    assert Secrets({f"{name}_FILE": ""}).read(name) is None
    assert Secrets({}).read(name) is None


def test_a_secret_that_changes_in_its_file_is_read_again_and_the_old_one_stays_hidden(tmp_path: Path) -> None:
    place = tmp_path / "token"
    secrets = Secrets({f"{TOKEN}_FILE": str(place)})
    for secret in ("first", "second"):
        place.write_text(secret)
        assert secrets.read(TOKEN) == secret
    place.write_text(" \n")
    assert secrets.read(TOKEN) is None
    assert secrets.seen == {"first", "second"}


def test_a_file_that_cannot_be_read_is_told_without_what_stands_there(tmp_path: Path) -> None:
    binary = tmp_path / "binary"
    binary.write_bytes(SECRET.encode() + b"\xff")
    for place, reason in ((SECRET, "No such file"), (str(tmp_path), "Is a directory"), (str(binary), "it is not text")):
        with pytest.raises(SettingsError, match=f"^the file that {TOKEN}_FILE names cannot be read: {reason}") as caught:
            Secrets({f"{TOKEN}_FILE": place}).read(TOKEN)
        assert SECRET not in str(caught.value)
        assert caught.value.__suppress_context__


def test_the_channels_get_at_their_secrets_when_they_need_them(tmp_path: Path) -> None:
    place = tmp_path / "token"
    secrets = Secrets({f"{SLACK_TOKEN}_FILE": str(place), MAIL_PASSWORD: "pw", "SUPPORT_WEBHOOK_URL": "https://hook"})
    found = access(Settings(), secrets)
    assert secrets.seen == set()
    place.write_text("token")
    assert (found.slack.bot_token(), found.mail.password(), found.secret("SUPPORT_WEBHOOK_URL")) == (
        "token",
        "pw",
        "https://hook",
    )
    assert secrets.seen == {"token", "pw", "https://hook"}
