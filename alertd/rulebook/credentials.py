"""What looks like a credential in a rule file: hidden wherever the file is quoted, and warned of where it would be loaded.

The file is in a repository, and in the store; its texts are in messages. A secret in it is none any more.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

# Credentials that people paste where a name belongs: they must not reach the log of a CI run.
_SECRET = re.compile(
    r"(?:hooks\.slack\.com/\w+/|xox[a-z]-|xapp-|://[^/\s:@\"']+:(?=\S*@)|[Bb]earer\s+|[?&](?:access_)?(?:token|key|secret)="
    r"|\b\w*(?:token|password|passwd|secret|api_?key)[\"']?\s*[:=]\s*[\"']?)((?!_)[^\s\"',}\]]{4,})"
)

# Whatever nobody writes by hand: so many letters and digits in a row, with that many of each among them.
_RUN = re.compile(r"[A-Za-z0-9]{16,}")
_OF_EACH = 3
_AWS = re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b")  # it may be letters alone

_DIFFERENT = 4  # characters at least; fewer are an x again and again
_WORDS = re.compile(r"(?i)your|example|token|password|secret|\.\.\.")

# What makers of credentials let them begin with, so that they are found: https://docs.github.com/en/code-security/secret-scanning
_KNOWN = re.compile(
    r"(?P<slack>\bxox[a-z](?:\.xox[a-z])?-[A-Za-z0-9-]{10,}|\bxapp-[A-Za-z0-9-]{10,})"
    r"|(?P<hook>\bhttps://(?:hooks\.slack\.com/(?:services|workflows|triggers)"
    r"|discord(?:app)?\.com/api/webhooks|hc-ping\.com|[\w.-]+\.webhook\.office\.com/webhookb2)/(?P<path>[\w/@-]{8,}))"
    r"|\b[Bb]earer\s+(?P<bearer>[\w.~+/-]{16,}=*)"
    rf"|(?P<aws>{_AWS.pattern})"
    r"|(?P<private>-----BEGIN [A-Z ]*PRIVATE KEY-----)"
    r"|(?P<github>\bgh[pousr]_[A-Za-z0-9]{36,}|\bgithub_pat_\w{36,})"
    r"|(?P<google>\bAIza[\w-]{35})"
    r"|(?P<stripe>\b[sr]k_live_[A-Za-z0-9]{16,})"
    r"|(?P<jwt>(?<![\w-])eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]+)"
    r"|://[^/\s:@\"'<>{}]+:(?P<password>[^/\s:@\"'<>{}$*]{4,})@[\w.-]"
)
_WHAT = {
    "slack": "a Slack token",
    "hook": "the address of an incoming webhook, which is a secret",
    "bearer": "a token",
    "aws": "an access key of AWS",
    "private": "a private key",
    "github": "a token of GitHub",
    "google": "an API key of Google",
    "stripe": "a key of Stripe",
    "jwt": "a token",
    "password": "a password in an address",
}


@dataclass(frozen=True)
class Exposed:
    """A credential in a text: what it is, and where. Lines and columns count from 1."""

    what: str
    line: int
    column: int
    end_column: int


def mask(text: str) -> str:
    """Hide what looks like a credential, character by character, so that columns stay."""
    named = _SECRET.sub(lambda match: match[0][: -len(match[1])] + "*" * len(match[1]), text)
    drawn = _RUN.sub(lambda match: "*" * len(match[0]) if _drawn(match[0]) else match[0], named)
    return _AWS.sub("*" * 20, drawn)


def exposed(text: str) -> Iterator[Exposed]:
    """The credentials in a text that are surely some: not what stands for one in an example."""
    for match in _KNOWN.finditer(text):
        kind = str(match.lastgroup)
        if kind == "private" or not _stands_for_one(match["path"] if kind == "hook" else match[kind]):
            begins = text.rfind("\n", 0, match.start())
            line = text.count("\n", 0, match.start()) + 1
            yield Exposed(_WHAT[kind], line, match.start() - begins, match.end() - begins)


def _drawn(run: str) -> bool:
    """Whether it was drawn by lot, by the look of it."""
    digits = sum(character.isdigit() for character in run)
    return digits >= _OF_EACH and len(run) - digits >= _OF_EACH


def _stands_for_one(secret: str) -> bool:
    """`xoxb-your-token`, `T000/B000/XXXX`, `PASSWORD`: words, or one character again and again."""
    tail = re.split(r"[-/@.]", secret)[-1] or secret
    return len(set(tail.lower())) < _DIFFERENT or not re.search(r"\d", secret) or bool(_WORDS.search(secret))
