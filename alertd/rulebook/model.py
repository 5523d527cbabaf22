"""The keys of rule files, each with its type and one sentence. A new key of rules is a new field here.

Whatever a field is called, it goes into the `Rule` field of the same name; what needs more is done in `reading`.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from alertd.rulebook import values

_FILTER = {"property": "numEndUserMessages", "operation": "GTE", "values": [1]}


class Entry(BaseModel):
    """A mapping in a file. `noun` is what messages call it."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    noun: ClassVar[str]


class LimitEntry(Entry):
    """One level's limit, and how good things must be again before it is over."""

    noun: ClassVar[str] = "a limit"

    above: values.LimitValue | None = Field(None, description="The value must be higher than that.", examples=["15m", "20%"])
    below: values.LimitValue | None = Field(None, description="The value must be lower than that.", examples=[1])
    recover: values.LimitValue | None = Field(
        None, description="Over once the value is at this or better; the limit itself where it is left out.", examples=["10m"]
    )


class Shared(Entry):
    """The keys that can stand in a rule or, for all rules of a file, in `defaults`."""

    noun: ClassVar[str] = "defaults"

    owner: values.Line | None = Field(None, description="Who looks after the rule.", examples=["support-ops"])
    runbook: values.WebAddress | None = Field(
        None, description="Web page that says what to do.", examples=["https://wiki.example.com/slow-first-answer"]
    )
    labels: values.Labels | None = Field(
        None, description="Your own words for the rule; those of defaults are added.", examples=[{"team": "support"}]
    )
    notify: values.Notify | None = Field(
        None,
        description="Receivers: one, several, or by level.",
        examples=["support-slack", {"warning": "support-slack", "critical": ["support-slack", "oncall-mail"]}],
    )
    every: values.Every | None = Field(
        None, description="How often it is checked, on the clock's grid; 10s at least.", examples=["5m"]
    )
    window: values.WindowLength | None = Field(None, description="How far back conversations count.", examples=["1h"])
    timestamp: values.Timestamp | None = Field(
        None, description="The moment by which a conversation falls into the window; createdAt where it is left out."
    )
    delay: values.Span | None = Field(
        None,
        description="The window ends that long before the check, for late rows; 30s where it is left out.",
        examples=["30s"],
    )
    filters: Annotated[tuple[values.FilterOf, ...], Field(max_length=50)] | None = Field(
        None, description="Which conversations: all of these must hold. The API's own filter objects.", examples=[[_FILTER]]
    )
    by: values.By | None = Field(
        None, description="One alert for each: an id property, or conversation.", examples=["lastAgentId"]
    )
    as_waited: values.Unanswered | None = Field(
        None,
        alias="unanswered",
        description="as_waited: those who still wait count with their wait so far; ignore is what happens otherwise.",
    )
    hold: values.Span | None = Field(
        None, alias="for", description="It must be over the limit that long before it fires.", examples=["10m"]
    )
    keep_firing: values.Span | None = Field(
        None, description="It must have recovered that long before it is over.", examples=["5m"]
    )
    reopen_within: values.Span | None = Field(
        None, description="Firing again within that goes on in the same incident; 30m where it is left out.", examples=["30m"]
    )
    min_conversations: values.Conversations | None = Field(
        None, description="With fewer values in the measure nothing changes.", examples=[20]
    )
    max_groups: values.Groups | None = Field(
        None, description="More groups are an error; 200 where it is left out.", examples=[100]
    )


class Defaults(Shared):
    """For every rule of the file; a rule's own key wins, labels are added to."""


class RuleEntry(Shared):
    """One question asked on a schedule, and what to make of the answer."""

    model_config = ConfigDict(json_schema_extra={"required": ["id", "measure"]})

    noun: ClassVar[str] = "a rule"

    id: values.Id | None = Field(
        None, description="Its identity, unique over all files: state and history hang on it.", examples=["slow-first-answer"]
    )
    title: values.Line | None = Field(None, description="What people read.", examples=["First answers are slow"])
    description: values.Prose | None = Field(None, description="What it means, for whoever is woken by it.")
    measure: values.MeasureOf | None = Field(
        None,
        description="What is calculated from the conversations.",
        examples=[{"median": "timeToAgentResponseMillis"}, "count"],
    )
    warning: LimitEntry | None = Field(None, description="When it is a warning.", examples=[{"above": "5m", "recover": "4m"}])
    critical: LimitEntry | None = Field(None, description="When it is critical.", examples=[{"above": "15m", "recover": "10m"}])


class RuleFile(Entry):
    """A file of alert rules."""

    noun: ClassVar[str] = "a rule file"

    defaults: Defaults | None = Field(None, description="For every rule of this file; a rule's own key wins.")
    rules: tuple[RuleEntry, ...] | None = Field(None, description="The rules.")


class ReceiversFile(Entry):
    """receivers.yaml: destinations have names."""

    noun: ClassVar[str] = "receivers.yaml"

    receivers: dict[str, dict[str, Any]] | None = Field(None, description="Each name with its kind of channel.")
    fallback: str | None = Field(None, description="Where notices go when their receiver is dead.", examples=["oncall-mail"])
