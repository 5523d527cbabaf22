"""The keys of rule files, each with its type and one sentence. A new key of rules is a new field here.

Whatever a field is called, it goes into the `Rule` field of the same name; what needs more is done in `reading`.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from alertd.rulebook import moments, values

_FILTER = {"property": "numEndUserMessages", "operation": "GTE", "values": [1]}


class Entry(BaseModel):
    """A mapping in a file. `noun` is what messages call it."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    noun: ClassVar[str]


class LimitEntry(Entry):
    """One level's limit, and how good things must be again before it is over."""

    noun: ClassVar[str] = "a limit"

    above: values.LimitValue | None = Field(
        None, description="The value must be higher than that: 5m, 20% or 3.", examples=["15m", "20%", 50]
    )
    below: values.LimitValue | None = Field(
        None, description="The value must be lower than that: 5m, 20% or 3.", examples=[1, "-50%"]
    )
    outside: values.LimitValue | None = Field(
        None, description="The compared value must be further from zero than that, on either side.", examples=[4]
    )
    recover: values.LimitValue | None = Field(
        None,
        description="Over once the value is at this or better, so that it does not go to and fro; else at the limit itself.",
        examples=["10m", "15%"],
    )


class EscalateEntry(Entry):
    """Who else is told when nobody has acknowledged an incident for so long."""

    model_config = ConfigDict(json_schema_extra={"required": ["after", "notify"]})

    noun: ClassVar[str] = "escalate"

    after: moments.Span | None = Field(None, description="How long it must have been open.", examples=["30m"])
    notify: values.ReceiverNames | None = Field(
        None, description="Who is told then, one receiver or several.", examples=["oncall-mail", ["oncall-mail", "pager"]]
    )


class Shared(Entry):
    """The keys that can stand in a rule or, for all rules of a file, in `defaults`."""

    noun: ClassVar[str] = "defaults"

    owner: values.Line | None = Field(None, description="Who looks after the rule.", examples=["support-ops"])
    runbook: values.WebAddress | None = Field(
        None, description="Web page that says what to do.", examples=["https://wiki.example.com/slow-first-answer"]
    )
    labels: values.Labels | None = Field(
        None,
        description="Your own words for the rule: routes and silences go by them. Those of defaults are added.",
        examples=[{"team": "support"}],
    )
    every: moments.Every | None = Field(
        None, description="How often it is checked, on the clock's grid (:00 :05 :10); 10s at least.", examples=["5m"]
    )
    cron: moments.CronText | None = Field(
        None,
        description="When it is checked, instead of every: minute, hour, day of the month, month, day of the week.",
        examples=["0 8 * * mon-fri", "*/5 8-18 * * mon-fri"],
    )
    timezone: moments.Zone | None = Field(
        None,
        description="Whose clocks cron, calendar windows and comparisons with earlier days go by.",
        examples=["Europe/Berlin", "America/New_York", "UTC"],
    )
    window: moments.WindowOf | None = Field(
        None,
        description="Conversations from so long before the check; or a whole hour, day or week of the calendar.",
        examples=["1h", {"calendar_day": -1}],
    )
    timestamp: moments.Timestamp | None = Field(
        None, description="The moment by which a conversation falls into the window.", examples=["firstCloseAt"]
    )
    delay: moments.Span | None = Field(
        None, description="The window ends that long before the check, to let late rows arrive.", examples=["30s"]
    )
    calendar: values.CalendarName | None = Field(
        None,
        description="Opening hours of calendars.yaml: it is checked while both ends of the window are open, and its timers "
        "stand still outside.",
        examples=["office-hours"],
    )
    filters: Annotated[tuple[values.FilterOf, ...], Field(max_length=50)] | None = Field(
        None, description="Which conversations: all of these must hold. The API's own filter objects.", examples=[[_FILTER]]
    )
    by: values.By | None = Field(
        None,
        description="One alert for each: an id property, or conversation for each by itself. All together without it.",
        examples=["lastAgentId", "conversation"],
    )
    max_groups: values.Groups | None = Field(
        None, description="More groups than that are an error, never a silent cut.", examples=[100]
    )
    as_waited: values.Unanswered | None = Field(
        None,
        alias="unanswered",
        description="as_waited: conversations that still wait for an answer count with the time they have waited so far.",
        examples=["as_waited"],
    )
    min_conversations: values.Conversations | None = Field(
        None, description="With fewer values in the measure nothing is concluded and nothing changes.", examples=[20]
    )
    no_data: values.NoData | None = Field(
        None,
        description="What it amounts to when no conversation has a value: keep (nothing changes), ok, warning or critical.",
        examples=["keep", "warning"],
    )
    hold: moments.Span | None = Field(
        None, alias="for", description="It must be over the limit that long before it fires.", examples=["10m"]
    )
    keep_firing: moments.Span | None = Field(
        None, description="It must have recovered that long before it is over.", examples=["5m"]
    )
    reopen_within: moments.Span | None = Field(
        None, description="Firing again within that goes on with the same incident, in its thread.", examples=["30m"]
    )
    notify: values.Notify | None = Field(
        None,
        description="Receivers: one, several, or by level.",
        examples=["support-slack", {"warning": "support-slack", "critical": ["support-slack", "oncall-mail"]}],
    )
    remind: moments.Every | None = Field(
        None, description="Told again that often while it fires and nobody has acknowledged it.", examples=["2h"]
    )
    escalate: EscalateEntry | None = Field(
        None,
        description="Others are told as well when nobody has acknowledged it for so long.",
        examples=[{"after": "30m", "notify": "oncall-mail"}],
    )
    quiet_while: values.RuleIds | None = Field(
        None, description="Ids of rules; nobody is told of this one while any of them fires.", examples=[["widget-silent"]]
    )
    template: values.TemplateName | None = Field(
        None, description="A message template of your own, instead of the channel's.", examples=["report"]
    )


class Defaults(Shared):
    """For every rule of the file; a rule's own key wins, labels are added to."""


class RuleEntry(Shared):
    """One question asked on a schedule, and what to make of the answer."""

    model_config = ConfigDict(json_schema_extra={"required": ["id", "measure"]})

    noun: ClassVar[str] = "a rule"

    id: values.Id | None = Field(
        None,
        description="Its identity, unique over all files: state, history and silences hang on it.",
        examples=["slow-first-answer"],
    )
    title: values.Line | None = Field(None, description="What people read.", examples=["First answers are slow"])
    description: values.Prose | None = Field(
        None,
        description="What it means, for whoever is woken by it.",
        examples=["Visitors who wrote to the team wait too long for the first human word."],
    )
    measure: values.MeasureOf | None = Field(
        None,
        description="What is calculated from the conversations.",
        examples=[{"median": "timeToAgentResponseMillis"}, "count"],
    )
    compare: values.CompareWith | None = Field(
        None,
        description="What the number is held against before it is judged: an earlier window, the usual, a promise.",
        examples=[{"change": {"to": "7d", "minimum": 20}}, "usual"],
    )
    expect: values.Expected | None = Field(
        None,
        description="Ids of groups that must be there: they are judged also when no conversation has them.",
        examples=[[671581, 671590]],
    )
    report: values.Flag | None = Field(
        None, description="true: told at every check, never an incident; it has no levels.", examples=[True]
    )
    warning: LimitEntry | None = Field(None, description="When it is a warning.", examples=[{"above": "5m", "recover": "4m"}])
    critical: LimitEntry | None = Field(None, description="When it is critical.", examples=[{"above": "15m", "recover": "10m"}])


class RuleFile(Entry):
    """A file of alert rules."""

    noun: ClassVar[str] = "a rule file"

    defaults: Defaults | None = Field(None, description="For every rule of this file; a rule's own key wins.")
    rules: tuple[RuleEntry, ...] | None = Field(None, description="The rules.")


class RouteEntry(Entry):
    """Who is told in addition to the rules' own receivers."""

    model_config = ConfigDict(json_schema_extra={"required": ["match", "to"]})

    noun: ClassVar[str] = "a route"

    match: values.Matcher | None = Field(
        None,
        description="Labels of the rule, and level, rule or owner; all that are given must match.",
        examples=[{"team": "support", "level": "critical"}],
    )
    to: values.ReceiverNames | None = Field(
        None,
        description="Who hears of it, in addition to the rule's own receivers.",
        examples=["pager", ["pager", "team-mail"]],
    )


class ReceiversFile(Entry):
    """receivers.yaml: destinations have names."""

    noun: ClassVar[str] = "receivers.yaml"

    receivers: dict[str, dict[str, Any]] | None = Field(None, description="Each name with its kind of channel.")
    fallback: str | None = Field(None, description="Where notices go when their receiver is dead.", examples=["oncall-mail"])
    routes: tuple[RouteEntry, ...] | None = Field(None, description="In addition to notify: every route that matches.")
