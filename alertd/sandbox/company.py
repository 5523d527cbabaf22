"""A made-up company: its agents with their shifts and paces, its bots, playbooks, pages and tags."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

ORGANISATION = 48213
FOUNDED = 1_717_405_200_000  # 2024-06-03T09:00:00Z, when everything in the lists below was created


@dataclass(frozen=True, slots=True)
class Agent:
    """One person. `days` are Monday = 0; `hours` local, first and last; `pace` stretches every time (above 1 is slow)."""

    id: int
    name: str
    days: tuple[int, ...]
    hours: tuple[int, int]
    pace: float
    chats: int  # at once


_WEEKDAYS = (0, 1, 2, 3, 4)

AGENTS = (
    Agent(501004, "Amara Diallo", _WEEKDAYS, (7, 15), 0.85, 3),
    Agent(501011, "Ben Okafor", _WEEKDAYS, (7, 15), 1.1, 2),
    Agent(501019, "Chloé Martin", _WEEKDAYS, (8, 16), 0.9, 3),
    Agent(501023, "Dmitri Volkov", (0, 1, 2, 3, 5), (8, 16), 1.35, 2),
    Agent(501037, "Elena Rossi", _WEEKDAYS, (9, 17), 0.95, 3),
    Agent(501042, "Farid Haddad", _WEEKDAYS, (10, 18), 1.0, 3),
    Agent(501058, "Grace Kim", _WEEKDAYS, (12, 20), 0.8, 3),
    Agent(501061, "Hugo Silva", _WEEKDAYS, (15, 23), 1.05, 2),
    Agent(501073, "Ines Weber", (0, 1, 2, 5, 6), (15, 24), 0.95, 3),
    Agent(501088, "Jonas Lindqvist", (1, 3, 4, 5, 6), (16, 24), 1.2, 2),
)

BOTS = ((900101, "Concierge"), (900102, "Support Bot"))

# (id, name, share of the greeted visitors, which bot)
PLAYBOOKS = (
    (671581, "Pricing page greeting", 0.30, 0),
    (671602, "Book a demo", 0.22, 0),
    (673340, "Help centre triage", 0.26, 1),
    (674018, "Returning visitor", 0.12, 0),
    (675127, "Billing questions", 0.07, 1),
    (678903, "Webinar follow-up", 0.03, 0),
)
BROKEN = 0  # the playbook that the scenario broken-playbook breaks

PAGES = tuple(
    f"https://www.example.com/{path}"
    for path in (
        "",
        "pricing",
        "pricing?plan=team",
        "demo",
        "help",
        "help/billing",
        "help/integrations",
        "login",
        "blog/release",
    )
)
VISITOR_TYPES = ("END_USER", "LEAD", "USER", "NONE")
TAGS = (("pricing",), ("bug",), ("billing",), ("demo-request",), ("bug", "vip"), ("billing", "vip"), ("onboarding",), ("spam",))


def users() -> list[dict[str, Any]]:
    """Agents and bots as /users/list has them."""
    return [_person(agent) for agent in AGENTS] + [_bot(*each) for each in BOTS]


def playbooks() -> list[dict[str, Any]]:
    """Playbooks as /playbooks/list has them."""
    return [_playbook(number, name, BOTS[bot][0]) for number, name, _, bot in PLAYBOOKS]


def _person(agent: Agent) -> dict[str, Any]:
    first = agent.name.split()[0].lower()
    return _user(agent.id, agent.name) | {
        "alias": agent.name.split()[0],
        "email": f"{first}@example.com",
        "availability": "AVAILABLE",
        "role": "agent",
        "timeZone": "Etc/UTC",
    }


def _bot(number: int, name: str) -> dict[str, Any]:
    return _user(number, name) | {"bot": True, "role": "member"}


def _user(number: int, name: str) -> dict[str, Any]:
    created = {"createdAt": FOUNDED, "updatedAt": FOUNDED}
    return {"id": number, "orgId": ORGANISATION, "name": name, "bot": False, "verified": True, **created}


def _playbook(number: int, name: str, author: int) -> dict[str, Any]:
    return {
        "id": number,
        "name": name,
        "orgId": ORGANISATION,
        "meta": {},
        "createdAt": FOUNDED,
        "updatedAt": FOUNDED,
        "createdAuthorId": author,
        "updatedAuthorId": author,
        "interactionId": number + 1_204_000,
        "reportType": "CONVERSATION",
        "goals": [],
    }
