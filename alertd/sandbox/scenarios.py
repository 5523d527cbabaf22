"""Things that go wrong on cue in the generated traffic, and how they are written on the command line."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from alertd.clock import MINUTE, Duration, Instant
from alertd.durations import parse_duration
from alertd.errors import SettingsError
from alertd.reporting.properties import suggest

LASTS: Duration = 10 * MINUTE


class ScenarioKind(StrEnum):
    """What goes wrong."""

    AGENT_ASLEEP = "agent-asleep"  # one agent accepts chats and does not answer
    NOBODY_ANSWERS = "nobody-answers"  # no agent gives a first answer
    RUSH = "rush"  # four times the arrivals
    QUIET_NIGHT = "quiet-night"  # hardly any arrivals
    BROKEN_PLAYBOOK = "broken-playbook"  # one playbook brings no conversations


@dataclass(frozen=True, slots=True)
class Scenario:
    """One thing that goes wrong from `start` up to, not including, `end`."""

    kind: ScenarioKind
    start: Instant
    end: Instant


def parse_scenario(text: str, now: Instant) -> Scenario:
    """Read `kind`, `kind@30s`, `kind+2m` or `kind@30s+2m`: 30 s after `now`, for 2 min; SettingsError."""
    rest, _, lasts = text.partition("+")
    kind, _, after = rest.partition("@")
    try:
        start = now + (parse_duration(after) if after else 0)
        return Scenario(_kind(kind), start, start + (parse_duration(lasts) if lasts else LASTS))
    except ValueError as error:
        raise SettingsError(f'--scenario "{text}": {error}; write it like nobody-answers@30s+2m') from None


def spans(scenarios: Iterable[Scenario], kind: ScenarioKind) -> list[tuple[Instant, Instant]]:
    """When things of one kind go wrong, earliest first."""
    return sorted((each.start, each.end) for each in scenarios if each.kind is kind)


def _kind(name: str) -> ScenarioKind:
    try:
        return ScenarioKind(name)
    except ValueError:
        meant = suggest(name, ScenarioKind)
        hint = f'did you mean "{meant}"' if meant else f"there are {', '.join(ScenarioKind)}"
        raise ValueError(f'there is no scenario "{name}"; {hint}') from None
