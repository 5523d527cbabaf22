"""A secret in the wrong variable: whatever verb meets it, says so without repeating it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pydantic import ValidationError

from alertd.settings import PREFIX, SECRETS, Settings, known_names
from tests.cli.shell import ALERTD, environment
from tests.processes.canaries import in_folder
from tests.processes.stage import RECEIVERS, RULES

AT_ONCE = 2
PATIENCE = 5.0  # seconds: a daemon that finds nothing wrong is ended then

# Ways to write a secret, and where it would be one: `{}` is the secret.
FORMS = {
    "alone": "{}",
    "a token": "xoxb-{}",
    "a webhook": "https://hooks.slack.com/services/T0/B0/{}",
    "a login": "https://me:{}@127.0.0.1:1/x",
    "a store": "postgresql://me:{}@127.0.0.1:1/db",
    "a store's option": "postgresql://127.0.0.1:1/db?password={}",
    "a store that is none": "mysql://me:{}@127.0.0.1:1/db",
    "a store with a slash": "postgresql://me:{}/1@127.0.0.1:1/db",
}
VERBS = (("status",), ("evaluate",), ("run",), ("send-test", "team-slack"), ("send-test", "team-mail"))

_SMALL = (
    ("ALERTD_STORE__URL", "a store", ("status",)),
    ("ALERTD_REPORTING__URL", "a login", ("run",)),
)
_ELSEWHERE = ("ALERTD_REPORTING", "ALERTD_SLAK__TOKEN", *(f"{name}_FILE" for name in SECRETS))
_BASE = {
    "ALERTD_RULES": "rules",
    "ALERTD_WEB__PORT": "0",
    "ALERTD_LOG__LEVEL": "debug",
    "ALERTD_REPORTING__URL": "http://127.0.0.1:1",
    "ALERTD_REPORTING__TOKEN": "a-token-of-no-importance",
    "ALERTD_SLACK__URL": "http://127.0.0.1:1/api/",
    "ALERTD_SLACK__BOT_TOKEN": "xoxb-of-no-importance",
    "ALERTD_EMAIL__HOST": "127.0.0.1",
    "ALERTD_EMAIL__PORT": "1",
    "ALERTD_EMAIL__TLS": "none",
    "ALERTD_EMAIL__SENDER": "alertd@example.com",
}


def ran(folder: Path, secret: str, *, small: bool) -> Iterator[tuple[str, bytes]]:
    """What each verb says and leaves behind with the secret in each variable."""
    tries = _SMALL if small else tuple(_tries())
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield from pool.map(lambda each: _one(folder / str(each[0]), secret, *each[1]), enumerate(tries))


def _tries() -> Iterator[tuple[str, str, tuple[str, ...]]]:
    yield from ((name, "alone", verb) for name in _ELSEWHERE for verb in VERBS)
    for name in known_names():
        forms = FORMS if name == "ALERTD_STORE__URL" else {form: FORMS[form] for form in FORMS if "store" not in form}
        for form, written in forms.items():
            verbs = VERBS[:1] if _refused(name, written) else VERBS  # what is refused is refused by all alike
            yield from ((name, form, verb) for verb in verbs)


def _refused(name: str, value: str) -> bool:
    """Whether the settings themselves refuse a value."""
    section, _, field = name.removeprefix(PREFIX).lower().partition("__")
    try:
        Settings.model_validate({section: {field: value} if field else value})
    except ValidationError:
        return True
    return False


def _one(folder: Path, secret: str, name: str, form: str, verb: tuple[str, ...]) -> tuple[str, bytes]:
    rules = folder / "rules"
    rules.mkdir(parents=True)
    (rules / "rules.yaml").write_text(RULES, encoding="utf-8")
    (rules / "receivers.yaml").write_text(RECEIVERS, encoding="utf-8")
    variables = _BASE | {name: FORMS[form].format(secret)}
    if name.endswith("_FILE"):
        variables.pop(name.removesuffix("_FILE"), None)
    said = _said(folder, verb, variables)
    left = b"".join(content for _, content in in_folder(folder, given=[rules]))
    return f"{' '.join(verb)} with {form} in {name}", said + left


def _said(folder: Path, verb: tuple[str, ...], variables: dict[str, str]) -> bytes:
    process = subprocess.Popen(
        [*ALERTD, *verb],
        cwd=folder,
        env=environment(folder, variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
    )
    try:
        return process.communicate(timeout=PATIENCE if verb == ("run",) else None)[0]
    except subprocess.TimeoutExpired:
        process.terminate()
        return process.communicate()[0]
