"""Rules as people could write them, made of what the language allows, and what is said of them."""

from __future__ import annotations

import re
from typing import Any

from hypothesis import strategies as st

from alertd.clock import SECOND
from alertd.durations import format_duration
from alertd.rulebook.findings import Finding, arrange
from alertd.rulebook.located import compose
from alertd.rulebook.moments import TIMES
from alertd.rulebook.reading import read_rules
from alertd.rulebook.relations import Known
from alertd.rulebook.values import IDS, NO_DATA

KNOWN = Known(receivers={"support-slack", "oncall-mail"}, calendar_names={"office-hours"})


def said_of(text: str, known: Known = KNOWN) -> tuple[Finding, ...]:
    """What is found in the text of a rule file."""
    document, findings = compose(text, "rules.yaml")
    return arrange((*findings, *(read_rules(document, "rules.yaml", known).findings if document else ())))


def durations(least: int = 10) -> st.SearchStrategy[str]:
    return st.integers(least, 366 * 86_400).map(lambda seconds: format_duration(seconds * SECOND))


def _is_text(word: str) -> bool:
    """Whether YAML 1.2 takes it for text without quotes; PyYAML, which writes it, goes by 1.1."""
    return bool(word.strip()) and not re.fullmatch(r"[-+.\d][\d.eE+-]*", word.strip())


names = st.from_regex(r"[a-z0-9]{1,8}(-[a-z0-9]{1,8}){0,3}", fullmatch=True).filter(lambda name: not name.startswith("alertd"))
words = st.text(st.characters(categories=("L", "N", "P", "S", "Zs")), min_size=1, max_size=60).filter(_is_text)
filters = st.one_of(
    st.fixed_dictionaries(
        {"property": st.just("numAgentMessages"), "operation": st.sampled_from(["GTE", "EQ", "LT"])}
        | {"values": st.lists(st.integers(0, 10), min_size=1, max_size=1)}
    ),
    st.fixed_dictionaries(
        {"property": st.just("status"), "operation": st.sampled_from(["IN", "NOT_IN"])}
        | {"values": st.lists(st.sampled_from(["open", "closed"]), min_size=1)}
    ),
    st.fixed_dictionaries(
        {"property": st.just("botStatus"), "operation": st.just("CONTAINS"), "values": st.lists(words, min_size=1, max_size=1)}
    ),
    st.fixed_dictionaries({"property": st.just("pageUrl"), "operation": st.just("HAS_PROPERTY")}),
)
numbers = st.integers(0, 7).map(str)
schedules = st.one_of(
    st.fixed_dictionaries({"every": durations()}),
    st.fixed_dictionaries(
        {"cron": st.sampled_from(["0 8 * * mon-fri", "*/5 8-18 * * *", " 30  12 L * * "])},
        optional={"timezone": st.sampled_from(["Europe/Berlin", "UTC", "America/New_York"])},
    ),
)
windows = st.one_of(
    durations(),
    st.fixed_dictionaries({"calendar_day": st.integers(-366, 0)}),
    st.fixed_dictionaries({"calendar_week": st.integers(-53, 0)}),
)
receivers = st.one_of(st.just("a"), st.lists(st.sampled_from("ab"), unique=True), st.just({"critical": "b"}))
anywhere = {
    "title": words,
    "description": words,
    "owner": words,
    "labels": st.dictionaries(st.from_regex(r"[a-z]{1,8}", fullmatch=True), words, max_size=3),
    "filters": st.lists(filters, max_size=3),
    "timestamp": st.sampled_from(TIMES),
    "delay": durations(0),
    "calendar": st.just("office-hours"),
    "min_conversations": st.integers(0, 1000),
    "notify": receivers,
    "template": names,
}
of_alerts = {
    "for": durations(0),
    "keep_firing": durations(0),
    "reopen_within": durations(0),
    "remind": durations(),
    "escalate": st.fixed_dictionaries({"after": durations(0), "notify": st.sampled_from(["a", ["a", "b"]])}),
    "quiet_while": st.sampled_from(["another", ["another", "yet-another"]]),
    "no_data": st.sampled_from(NO_DATA),
}
groups = st.one_of(
    st.just(dict[str, Any]()),
    st.fixed_dictionaries(
        {"by": st.sampled_from(IDS)},
        optional={"expect": st.lists(st.integers(0, 10**15), min_size=1, max_size=3), "max_groups": st.integers(3, 1000)},
    ),
)
MEASURES: dict[str, Any] = {
    "": "count",
    "m": {"median": "timeToCloseMillis"},
    "%": {"share": {"property": "botStatus", "operation": "EQ", "values": ["NO_RESPONSE"]}},
    "distinct": {"distinct": "lastAgentId"},
}
COMPARISONS: dict[str, list[Any]] = {
    "": ["value", {"value": None}],
    "%": [{"change": {"to": "7d", "minimum": 20}}, {"change": {"to": "90m"}}],
    "number": ["usual", {"usual": None}, {"usual": {"weeks": 3, "at_least": 2}}],
}


@st.composite
def entries(draw: st.DrawFn) -> dict[str, Any]:
    """One rule: an alarm on a number or on what it is compared with, a promise, or a report."""
    shared = {"id": draw(names)} | draw(schedules) | draw(st.fixed_dictionaries({}, optional=anywhere))
    match draw(st.sampled_from(["alarm", "comparison", "conversation", "promise", "report"])):
        case "promise":
            burn = {"burn": {"objective": draw(st.sampled_from(["95%", "99.9%"]))}}
            own = {"measure": MEASURES["%"], "compare": burn} | draw(st.fixed_dictionaries({}, optional=of_alerts))
        case "report":
            own = {"measure": draw(st.sampled_from(list(MEASURES.values()))), "report": True, "window": draw(windows)}
        case "comparison":
            unit = draw(st.sampled_from(["%", "number"]))
            fixed = unit == "number"  # what is usual wants windows of one length
            own = {"measure": "count", "compare": draw(st.sampled_from(COMPARISONS[unit]))}
            own |= {"window": draw(durations() if fixed else windows)}
            own |= draw(_levels(unit.removeprefix("number"), outside=True)) | draw(groups)
        case kind:
            unit = draw(st.sampled_from(["", "m", "%"]))
            by = {"by": "conversation"} if kind == "conversation" else draw(groups)
            own = {"measure": MEASURES[unit], "window": draw(windows)} | by | draw(_levels(unit))
            own |= draw(st.fixed_dictionaries({}, optional=of_alerts))
    return shared | own


@st.composite
def _levels(draw: st.DrawFn, unit: str, *, outside: bool = False) -> dict[str, Any]:
    """A warning, a critical level or both, which recovers where the warning begins."""
    low, high = sorted(draw(st.lists(st.integers(10, 99), min_size=2, max_size=2, unique=True)))
    direction = draw(st.sampled_from(["above", "outside"] if outside else ["above"]))
    mild, bad = (f"{each}{unit}" if unit else each for each in (low, high))
    levels = {"warning": {direction: mild}, "critical": {direction: bad, "recover": mild}}
    return {level: levels[level] for level in draw(st.sampled_from([["warning"], ["critical"], ["warning", "critical"]]))}
