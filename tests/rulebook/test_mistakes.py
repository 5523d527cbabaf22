"""Every mistake is told at its place, in words, with what was probably meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from alertd.rulebook.findings import Finding, render_text
from alertd.rulebook.loader import inspect

RECEIVERS = """\
receivers:
  support-slack: {slack: {channel: "#support-alerts"}}
  oncall-mail: {email: {to: [oncall@example.com]}}
fallback: oncall-mail
"""

HEAD = """\
rules:
  - id: slow
    every: 5m
    window: 1h
    notify: support-slack
"""

LEVEL = "    critical: {above: 3}\n"
COUNT = "    measure: count\n"
MEDIAN = "    measure: {median: timeToCloseMillis}\n"
SHARE = "    measure: {share: {property: botStatus, operation: EQ, values: [NO_RESPONSE]}}\n"


def looked_at(folder: Path, rules: str, receivers: str | None = RECEIVERS) -> tuple[Finding, ...]:
    (folder / "rules.yaml").write_text(rules, encoding="utf-8")
    if receivers is not None:
        (folder / "receivers.yaml").write_text(receivers, encoding="utf-8")
    return inspect(folder)[1]


# What stands after the head of a rule, where it goes wrong (line:column-end), what is said of it and what was meant.
KEYS = [
    (COUNT + LEVEL + "    evry: 5m", "8:5-9", '"evry" is not a key of a rule', "every"),
    (COUNT + LEVEL + "    fliters: []", "8:5-12", '"fliters" is not a key of a rule', "filters"),
    (COUNT + LEVEL + "    calendar: hours", "8:15-20", 'there is no calendar "hours"; there is no calendars.yaml in ', None),
    (COUNT + LEVEL + "    threshold: 5", "8:5-14", "limits stand under their level, such as warning: {above: 5m}", "warning"),
    (COUNT + LEVEL + "    condition: a > 5", "8:5-14", "limits stand under their level", "warning"),
    (COUNT + LEVEL + "    interval: 5m", "8:5-13", "how often it is checked is written every: 5m", "every"),
    (COUNT + LEVEL + "    schedule: daily", "8:5-13", 'are written cron: "0 8 * * mon-fri"', "cron"),
    (COUNT + LEVEL + "    query: {}", "8:5-10", "which conversations it is about is written filters: [{property:", "filters"),
    (COUNT + LEVEL + '    channel: "#a"', "8:5-12", "who is told is written notify: support-slack", "notify"),
    (COUNT + LEVEL + "    group-by: agent", "8:5-13", "groups are written by: lastAgentId", "by"),
    (COUNT + "    warning: {threshold: 5}", "7:15-24", "a limit is written above: 5m, or below: 5m", "above"),
    (COUNT + "    warning: {lt: 5}", "7:15-17", "a limit is written below: 5m", "below"),
    (COUNT + LEVEL + "    hold: 5m", "8:5-9", '"hold" is not a key of a rule', None),
    (COUNT + LEVEL + "    title:", "8:5-10", '"title" has no value', None),
    (COUNT + LEVEL + "    title: 17", "8:12-14", 'title: text is expected here; put it in quotes: "17"', None),
    (COUNT + LEVEL + "    title: [a]", "8:12-15", "title: text is expected here, not a list", None),
    (COUNT + LEVEL + '    title: "a\\nb"', "8:12-18", "title: this text must be on one line", None),
    (COUNT + LEVEL + "    runbook: wiki/slow", "8:14-23", 'runbook: "wiki/slow" is not a web address', None),
    (COUNT + LEVEL + "    runbook: ftp://wiki/slow", "8:14-29", "is not a web address", None),
    (COUNT + LEVEL + "    labels: [a]", "8:13-16", "labels: names with texts are expected here", None),
    (COUNT + LEVEL + "    labels: {tier: 2}", "8:20-21", 'text is expected here; put it in quotes: "2"', None),
    (COUNT + LEVEL + "    labels: {2nd: b}", "8:14-17", "labels: a label's name has letters", None),
    (COUNT + LEVEL + "    for: 10", "8:10-12", 'for: "10" has no unit; write 10s, 10m, 10h or 10d', None),
    (COUNT + LEVEL + "    for: 10 min", "8:10-16", 'for: "10 min" is not a duration', "10m"),
    (COUNT + LEVEL + "    for: 2 Hours", "8:10-17", "is not a duration", "2h"),
    (COUNT + LEVEL + "    for: 1:30", "8:10-14", "is not a duration", None),
    (COUNT + LEVEL + "    for: [10m]", "8:10-15", "for: a duration is written like 90s, 5m, 1h30m or 7d, not a list", None),
    (COUNT + LEVEL + "    for: -5m", "8:10-13", "is not a duration", None),
    (COUNT + LEVEL + "    for: 1500ms", "8:10-16", "for: 1500ms is not in whole seconds", None),
    (COUNT + LEVEL + "    delay: 999w", "8:12-16", "must be at most 52w2d", None),
    (COUNT + LEVEL + "    min_conversations: -1", "8:24-26", "must be from 0 to 1,000,000", None),
    (COUNT + LEVEL + "    max_groups: 0", "8:17-18", "must be from 1 to 10,000", None),
    (COUNT + LEVEL + "    max_groups: many", "8:17-21", "a whole number is expected here", None),
    (COUNT + LEVEL + "    by: lastAgent", "8:9-18", 'groups cannot be made by "lastAgent"', "lastAgentId"),
    (COUNT + LEVEL + "    by: id", "8:9-11", "by: each conversation by itself is called conversation here", "conversation"),
    (COUNT + LEVEL + "    by: status", "8:9-15", "groups are made by ids, and status is text; possible are conversation", None),
    (COUNT + LEVEL + "    timestamp: createdat", "8:16-25", "a window is cut by a moment", "createdAt"),
    (COUNT + LEVEL + "    timestamp: status", "8:16-22", "possible are createdAt", None),
    (COUNT + LEVEL + "    filters: status", "8:14-20", "filters: a list is expected here", None),
    (COUNT + LEVEL + "    filters: [open]", "8:15-19", "filters: a filter looks like {property: status", None),
    (
        COUNT + LEVEL + "    filters:\n      - {property: statsu, operation: EQ, values: [open]}",
        "9:20-26",
        'filters: there is no property "statsu"',
        "status",
    ),
    (
        COUNT + LEVEL + "    filters:\n      - {property: status, operation: eq, values: [open]}",
        "9:39-41",
        'there is no operation "eq"',
        "EQ",
    ),
    (
        COUNT + LEVEL + "    filters:\n      - {property: status, operation: EQ, values: [opn]}",
        "9:52-55",
        "status is one of open, closed, pending, archived",
        "open",
    ),
    (
        COUNT + LEVEL + "    filters:\n      - {property: cqlScore, operation: GTE, values: [no]}",
        "9:55-57",
        'cqlScore takes numbers, not "no"',
        None,
    ),
    (
        COUNT + LEVEL + "    filters:\n      - {property: timeToCloseMillis, operation: GTE, values: [30m]}",
        "9:64-67",
        'takes numbers, not "30m"; the API counts in milliseconds, which are 1800000',
        "1800000",
    ),
    (
        SHARE.replace("botStatus, operation: EQ, values: [NO_RESPONSE]", "timeToCloseMillis, operation: GTE, values: [1h]")
        + "    critical: {above: 20%}\n    min_conversations: 20",
        "6:77-79",
        "the API counts in milliseconds, which are 3600000",
        "3600000",
    ),
    (
        COUNT + LEVEL + "    filters:\n      - {propertie: status, operation: EQ, values: [open]}",
        "9:10-19",
        'a filter has no key "propertie"',
        "property",
    ),
    (COUNT + LEVEL + "    unanswered: waited", "8:17-23", "it is as_waited or ignore", "as_waited"),
    (COUNT + LEVEL + "    unanswered: as_waited", "8:17-26", "nobody waits in number of conversations", None),
    ("    measure: cuont\n" + LEVEL, "6:14-19", 'measure: there is no measure "cuont"', "count"),
    (
        "    measure: zzz\n" + LEVEL,
        "6:14-17",
        'there is no measure "zzz"; there are count, distinct, max, mean, median, min, p50 to p99, share, stddev, sum, waiting',
        None,
    ),
    ("    measure: {p100: timeToCloseMillis}\n" + LEVEL, "6:15-19", "percentiles are p50 to p99, such as {p90:", None),
    ("    measure: {percentile: 90}\n" + LEVEL, "6:15-25", "percentiles are p50 to p99, such as {p90:", None),
    ("    measure: p90(timeToCloseMillis)\n" + LEVEL, "6:14-36", "there is no measure", "{p90: timeToCloseMillis}"),
    ("    measure: {average: timeToCloseMillis}\n" + LEVEL, "6:15-22", 'there is no measure "average"', "mean"),
    ("    measure: {medain: timeToCloseMillis}\n" + LEVEL, "6:15-21", 'there is no measure "medain"', "median"),
    ("    measure: {median: timeToCloseMilis}\n" + LEVEL, "6:23-39", "there is no property", "timeToCloseMillis"),
    ("    measure: {median: lastAgentId}\n" + LEVEL, "6:23-34", "lastAgentId is an id", None),
    ("    measure: {median: a, mean: b}\n" + LEVEL, "6:14-34", "one measure stands here, such as count or", None),
    (
        "    measure: {share: {property: botStatus, operation: EQ, values: [NO_RESPONS]}}\n    critical: {above: 20%}",
        "6:68-78",
        "botStatus is one of",
        "NO_RESPONSE",
    ),
    ("    measure: [count]\n" + LEVEL, "6:14-21", "one measure stands here, such as count or", None),
    (COUNT, "2:9-13", "a rule needs a level", None),
    (COUNT + "    report: false", "2:9-13", "a rule needs a level", None),
    (COUNT + "    report: yes", "7:13-16", 'true or false is expected here, not "yes"', "true"),
    (COUNT + LEVEL + '    cron: "0 8 * * *"', "8:5-9", "a rule is checked by every or by cron, not by both", None),
    (COUNT + LEVEL + "    timezone: Europe/Munich", "8:15-28", 'there is no time zone "Europe/Munich"', None),
    (COUNT + LEVEL + "    timezone: Europe/Belin", "8:15-27", "there is no time zone", "Europe/Berlin"),
    (COUNT + LEVEL + "    timezone: europe/berlin", "8:15-28", "there is no time zone", "Europe/Berlin"),
    (COUNT + LEVEL + "    timezone: CEST", "8:15-19", "zones are called by region and city", None),
    (COUNT + LEVEL + "    timezone: EST5", "8:15-19", "zones are called by region and city", None),
    (COUNT + LEVEL + "    timezone: Berlin", "8:15-21", 'there is no time zone "Berlin"', "Europe/Berlin"),
    (COUNT + LEVEL + "    expect: [1]", "8:5-11", "the rule needs by with an id property, such as by: lastAgentId", None),
    (COUNT + LEVEL + "    expect: 1\n    by: lastAgentId", "8:13-14", "a list of ids is expected here", "[1]"),
    (COUNT + LEVEL + "    expect: []\n    by: lastAgentId", "8:13-15", "not an empty list", None),
    (COUNT + LEVEL + "    expect: [7, a]\n    by: lastAgentId", "8:17-18", 'an id is a whole number, not "a"', None),
    (COUNT + LEVEL + '    expect: ["7"]\n    by: lastAgentId', "8:14-17", "an id is a whole number", "7"),
    (COUNT + LEVEL + "    expect: [1]\n    by: conversation", "8:5-11", "needs by with an id property", None),
    (
        COUNT + LEVEL + "    expect: [1, 2]\n    by: lastAgentId\n    max_groups: 1",
        "8:5-11",
        "these are 2 groups, more than max_groups: 1",
        None,
    ),
    (COUNT + LEVEL + "    escalate: {after: 30m}", "8:15-27", 'escalate needs "notify", as in {after: 30m', None),
    (COUNT + LEVEL + "    escalate: {notify: oncall-mail}", "8:15-36", 'escalate needs "after"', None),
    (COUNT + LEVEL + "    escalate: {after: 30, notify: oncall-mail}", "8:23-25", '"30" has no unit', None),
    (COUNT + LEVEL + "    escalate: oncall-mail", "8:15-26", "such as {after: 30m, notify: oncall-mail}", None),
    (COUNT + LEVEL + "    escalate: {after: 1h, to: oncall-mail}", "8:27-29", '"to" is not a key of escalate', None),
    (COUNT + LEVEL + "    escalate: {after: 1h, notify: mail}", "8:35-39", '"mail"; there are oncall-mail, ', None),
    (COUNT + LEVEL + "    escalate: {after: 1h, notify: [oncal-mail]}", "8:36-46", "there is no receiver", "oncall-mail"),
    (COUNT + LEVEL + "    remind: 5s", "8:13-15", "remind: 5s does not fit: it must be at least 10s", None),
    (COUNT + LEVEL + "    quiet_while: 5", "8:18-19", "the id of a rule is expected here, not 5", None),
    (COUNT + LEVEL + "    quiet_while: [a, {b: c}]", "8:22-28", "the id of a rule is expected here, not keys", None),
    (COUNT + LEVEL + "    quiet_while: [slow]", "8:19-23", "a rule that is quiet while it fires itself is never told", None),
    (COUNT + LEVEL + "    no_data: warn", "8:14-18", "it is keep, ok, warning or critical", "warning"),
    (COUNT + LEVEL + "    no_data: no", "8:14-16", 'it is keep, ok, warning or critical, not "no"', None),
    (COUNT + LEVEL + "    no_data: [keep]", "8:14-20", "not a list", "keep"),
    (COUNT + LEVEL + "    template: My Report", "8:15-24", '"My Report" is not a name', "my-report"),
    (COUNT + LEVEL + "    calendar: [hours]", "8:15-22", "calendar: text is expected here, not a list", None),
    (
        COUNT + LEVEL + "    report: true",
        "7:5-13",
        'a report is told at every check and has no levels; remove "critical"',
        None,
    ),
    (COUNT + "    report: true\n    for: 5m", "8:5-8", 'a report is told at every check and has no use for "for"', None),
    (COUNT + "    report: true\n    remind: 5m", "8:5-11", 'has no use for "remind"', None),
    (
        COUNT + LEVEL + "    compare: {change: {to: 7d}}\n    by: conversation",
        "8:5-12",
        "a single conversation has no earlier time",
        None,
    ),
    (COUNT + "    compare: {chnage: {to: 7d}}", "7:15-21", 'there is no comparison "chnage"', "change"),
    (COUNT + "    compare: chnage", "7:14-20", 'there is no comparison "chnage"', "change"),
    (COUNT + "    compare: [usual]", "7:14-21", "one comparison stands here, such as usual or", None),
    (COUNT + "    compare: {usual: {}, change: {to: 7d}}", "7:14-43", "one comparison stands here", None),
    (COUNT + "    compare: change", "7:14-20", "such as to: 7d", None),
    (COUNT + "    compare: {change: {minimum: 20}}", "7:23-36", "such as to: 7d", None),
    (COUNT + "    compare: {change: {too: 7d}}", "7:24-27", 'change has no "too"; it has to, minimum', "to"),
    (COUNT + "    compare: {change: {to: 7 days}}", "7:28-34", 'to: "7 days" is not a duration', "7d"),
    (COUNT + "    compare: {change: {to: last week}}", "7:28-37", 'to: "last week" is not a duration', "7d"),
    (COUNT + "    compare: {change: {to: Yesterday}}", "7:28-37", "is not a duration", "1d"),
    (COUNT + "    compare: {change: {to: 7d, minimum: 5m}}", "7:41-43", "minimum: this measure is a plain number", None),
    (
        COUNT + "    compare: {change: {to: 7d}}\n    critical: {below: -50}",
        "8:23-26",
        "below: with compare: change a limit is a percentage: -50 has no unit; write -50%",
        None,
    ),
    (COUNT + "    compare: {change: {to: 7d}}\n    critical: {below: 0.5}", "8:23-26", "0.5 has no unit; write -50%", None),
    (COUNT + "    compare: {change: {to: 7d}}\n    critical: {below: 0}", "8:23-24", "0 has no unit; write 0%", None),
    (
        COUNT + "    compare: {change: {to: 7d}}\n    critical: {below: -50%, recover: 0.3}",
        "8:38-41",
        "recover: with compare: change a limit is a percentage: 0.3 has no unit; write -30%",
        None,
    ),
    (
        MEDIAN + "    compare: {change: {to: 7d}}\n    critical: {above: 5m}",
        "8:23-25",
        "with compare: change a limit is a percentage; write it like 20% instead of",
        None,
    ),
    (
        COUNT + "    compare: usual\n    critical: {outside: 50%}",
        "8:25-28",
        "with compare: usual a limit is a plain number without a unit; write it like 4 instead of",
        None,
    ),
    (COUNT + "    compare: {usual: {weeks: 20}}", "7:30-32", "weeks is a whole number from 2 to 12, not 20", None),
    (COUNT + "    compare: usual\n    critical: {outside: -4}", "8:25-27", "so it has no sign", "4"),
    (COUNT + "    compare: usual\n    critical: {outside: 4, recover: -3}", "8:37-39", "recover is how far from zero", "3"),
    (COUNT + "    critical: {outside: 4}", "7:16-23", "outside is for compare: change and usual", None),
    (COUNT + "    compare: {burn: {objective: 95%}}", "7:21-37", "burn is about a share; write measure: {share: ...}", None),
    (SHARE + "    compare: {burn: {objective: 95%}}", "4:5-11", "burn brings its own windows; leave this out", None),
    (COUNT + "    warning: 5", "7:14-15", "warning: keys with values are expected here, such as {above: 5m", None),
    (COUNT + "    warning: {}", "7:14-16", 'a limit needs "above" or "below"', None),
    (COUNT + "    warning: {above: 1, below: 2}", "7:25-30", 'a limit has "above" or "below", not both', None),
    (COUNT + "    warning: {abov: 1}", "7:15-19", "not a key of a limit; it has above, below, outside, recover", "above"),
    (COUNT + "    warning: {above: }", "7:15-20", '"above" has no value', None),
    (COUNT + "    warning: {above: [1]}", "7:22-25", "a limit is written like 5m, 20% or 3, not a list", None),
    (COUNT + "    warning: {above: 5m}", "7:22-24", "above: this measure is a plain number without a unit", None),
    (MEDIAN + "    warning: {above: 300}", "7:22-25", "this measure is a duration: 300 has no unit", None),
    (
        MEDIAN + "    warning: {above: 1200000}",
        "7:22-29",
        "1200000 has no unit; write 20m, or 1200000ms, if these are milliseconds",
        "20m",
    ),
    (MEDIAN + "    warning: {above: 20%}", "7:22-25", "this measure is a duration, not a share", None),
    (MEDIAN + "    warning: {above: 5 minutes}", "7:22-31", "is not a duration", "5m"),
    (MEDIAN + "    warning: {above: 5m, recover: 6m}", "7:35-37", "recover must lie at or below the limit", None),
    (COUNT + "    warning: {below: 5, recover: 4}", "7:34-35", "recover must lie at or above the limit", None),
    (COUNT + "    warning: {above: 5}\n    critical: {above: 5}", "8:23-24", "critical must be higher than warning", None),
    (COUNT + "    warning: {below: 5}\n    critical: {below: 6}", "8:23-24", "critical must be lower than warning", None),
    (COUNT + "    warning: {above: 5}\n    critical: {below: 2}", "8:16-21", "the levels of a rule look one way", None),
    (COUNT + LEVEL + "    title: a\n    title: b", "9:5-10", '"title" stands twice here; the first is on line 8', None),
    (COUNT + LEVEL + "    title: &t a", "8:12-16", 'anchors ("&t") are not read; put what the rules of a file share', None),
    (COUNT + LEVEL + "    title: *t", "8:12-14", 'aliases ("*t") are not read', None),
    (COUNT + LEVEL + "    <<: *t", "8:5-7", 'merge keys ("<<") are not read', None),
    (COUNT + LEVEL + "    title: !!str a", "8:12-19", "tags are not read", None),
    (COUNT + LEVEL + "    title: @a", "8:12-13", 'text that begins with "@" needs quotes', None),
    (COUNT + LEVEL + "    title: a: b", "8:13-14", 'a ":" is not expected here', None),
    (COUNT + LEVEL + '    title: "a', "8:12-13", "this quote is not closed", None),
    (COUNT + LEVEL + "\ttitle: a", "8:1-2", "a tab; YAML is indented with spaces", None),
    (COUNT + LEVEL + "    labels: {a: b", "8:18-19", 'a "{" on line 8 is not closed', None),
    (COUNT + LEVEL + "    title: a\x07b", "8:13-14", "an invisible character (U+0007)", None),
    (COUNT + LEVEL + '    title: "a\\0b"', "8:12-18", "this text contains an invisible character", None),
    (COUNT + LEVEL + "    ? [a]\n    : b", "8:7-10", "a key is text", None),
    (COUNT + LEVEL + "---\nrules: []", "8:1-2", "a second document begins here", None),
]


@pytest.mark.parametrize(
    ("keys", "place", "message", "meant"), KEYS, ids=[each[0].splitlines()[-1].strip()[:40] for each in KEYS]
)
def test_a_wrong_key_is_told_at_its_place(tmp_path: Path, keys: str, place: str, message: str, meant: str | None) -> None:
    findings = looked_at(tmp_path, HEAD + keys)

    assert [f"{each.line}:{each.column}-{each.end_column}" for each in findings] == [place], render_text(findings)
    assert message in findings[0].message
    assert findings[0].suggestion == meant


HOURS = HEAD.replace("    every: 5m\n", "")
ALWAYS = HEAD.replace("    window: 1h\n", "")

FILES = [
    ("rulez: []", "1:1", '"rulez" is not a key of a rule file', "rules"),
    ("defaults: {}", "1:1", 'a rule file needs "rules:"', None),
    ("- id: slow", "1:1", 'a rule file begins with "rules:"', None),
    ("just text", "1:1", 'a rule file begins with "rules:"', None),
    ("rules: {id: slow}", "1:8", 'rules are a list; each begins with "- id:"', None),
    ("rules: [slow]", "1:9", 'a rule has keys such as id: and measure:, and this is "slow"', None),
    ("defaults: [a]\n" + HEAD + COUNT + LEVEL, "1:11", "defaults are keys of rules with values", None),
    ("defaults: {evry: 5m}\n" + HEAD + COUNT + LEVEL, "1:12", '"evry" is not a key of defaults', "every"),
    ("defaults: {title: a}\n" + HEAD + COUNT + LEVEL, "1:12", '"title" cannot stand in defaults', None),
    ("defaults: {delay: 30}\n" + HEAD + COUNT + LEVEL, "1:19", 'delay: "30" has no unit', None),
    ("rules:\n  - id: a\n    notify: support-slack\n" + COUNT + LEVEL + "    every: 5m", "2:9", 'a rule needs "window"', None),
    ("rules:\n  - id: a\n    notify: support-slack\n" + COUNT + LEVEL + "    window: 5m", "2:9", 'a rule needs "every"', None),
    (HEAD.replace("id: slow", "title: slow") + COUNT + LEVEL, "2:5", "a rule needs an id", None),
    (HEAD + LEVEL, "2:9", "a rule needs a measure", None),
    (HEAD.replace("every:", "evry:") + COUNT + LEVEL, "3:5", '"evry" is not a key of a rule', "every"),
    (HEAD + COUNT + "    critcal: {above: 3}", "7:5", '"critcal" is not a key of a rule', "critical"),
    (HEAD.replace("id: slow", "id: Slow One!") + COUNT + LEVEL, "2:9", 'id: "Slow One!" is not a name', "slow-one"),
    (HEAD.replace("id: slow", "id: alertd-self") + COUNT + LEVEL, "2:9", 'ids that begin with "alertd" are its own', None),
    (HEAD.replace("id: slow", f"id: {'a' * 65}") + COUNT + LEVEL, "2:9", "at most 64", "a" * 64),
    (HEAD.replace("every: 5m", "every: 9s") + COUNT + LEVEL, "3:12", "every: 9s does not fit: it must be at least 10s", None),
    (HEAD.replace("window: 1h", "window: 5s") + COUNT + LEVEL, "4:13", "at least 10s", None),
    (HEAD.replace("window: 1h", "window: 400d") + COUNT + LEVEL, "4:13", "at most 52w2d", None),
    (HEAD.replace("support-slack", "suport-slack") + COUNT + LEVEL, "5:13", 'no receiver "suport-slack"', "support-slack"),
    (HEAD.replace("support-slack", "[oncall-mail, slack]") + COUNT + LEVEL, "5:27", 'there is no receiver "slack"', None),
    (HEAD.replace("support-slack", "{crit: oncall-mail}") + COUNT + LEVEL, "5:14", '"crit" is not a level', "critical"),
    (HEAD.replace("support-slack", "{critical: [5]}") + COUNT + LEVEL, "5:25", "the name of a receiver is expected", None),
    (HOURS + COUNT + LEVEL + '    cron: "0 8 * * mon-fry"', "7:11", '"mon-fry" does not fit as day of the week', "mon-fri"),
    (HOURS + COUNT + LEVEL + '    cron: "0 8 * *"', "7:11", "has five fields (minute, hour, day of the month", None),
    (HOURS + COUNT + LEVEL + '    cron: "60 8 * * *"', "7:11", '"60" does not fit as minute; possible are 0 to 59', None),
    (HOURS + COUNT + LEVEL + '    cron: "@daily"', "7:11", "write the five fields", "0 0 * * *"),
    (HOURS + COUNT + LEVEL + '    cron: "0 8 30 2 *"', "7:11", "is never due, for no month has such a day", None),
    (HOURS + COUNT + LEVEL + "    cron: 5m", "7:11", "has five fields", None),
    (HEAD.replace("1h", "{calendar_day: 1}") + COUNT + LEVEL, "4:28", "calendar_day counts days backwards", "-1"),
    (HEAD.replace("1h", "{calendar_day: yesterday}") + COUNT + LEVEL, "4:28", "-1 the last whole one; not", None),
    (HEAD.replace("1h", "{calender_day: -1}") + COUNT + LEVEL, "4:14", '"calender_day" is not a window', "calendar_day"),
    (HEAD.replace("1h", "yesterday") + COUNT + LEVEL, "4:13", '"yesterday" is not a duration', "{calendar_day: -1}"),
    (HEAD.replace("1h", "calendar_day") + COUNT + LEVEL, "4:13", "are written like {calendar_day: -1}", "{calendar_day: -1}"),
    (HEAD.replace("1h", "last week") + COUNT + LEVEL, "4:13", '"last week" is not a duration', "{calendar_week: -1}"),
    (HEAD.replace("1h", "this hour") + COUNT + LEVEL, "4:13", '"this hour" is not a duration', "{calendar_hour: 0}"),
    (HEAD.replace("every: 5m", "every:5m") + COUNT + LEVEL, "3:5", 'after the colon; write "every: 5m"', None),
    (HEAD.replace("id: slow", "id:slow") + COUNT + LEVEL, "2:5", 'after the colon; write "id: slow"', None),
    (HEAD.replace("every: 5m", "every 5m") + COUNT + LEVEL, "3:5", 'this is no "key: value"', None),
    (HEAD + COUNT + LEVEL + "  - {id: b,\n", "8:5", 'this "{" is not closed', None),
    (HEAD + COUNT + LEVEL + "    filters: [\n\n", "8:14", 'this "[" is not closed', None),
    (HEAD + COUNT + LEVEL + "    filters: [, a]\n", "8:15", "a value is missing here, or a comma is too many", None),
    (ALWAYS + SHARE + LEVEL + "    compare: {burn: {objective: 95%}}", "6:5", "burn brings its own levels", None),
    (ALWAYS + SHARE + "    compare: {burn: {objective: 80%}}", "6:33", "93.1% or more works", None),
    (ALWAYS + SHARE + "    compare: {burn: {objective: 100%}}", "6:33", "leaves no slack that could be used up", None),
    (ALWAYS + SHARE + "    compare: {burn: {objective: 0.95}}", "6:33", "the objective is a share; write it like 95%", None),
    (ALWAYS + SHARE + "    compare: {burn: {objektive: 95%}}", "6:22", 'burn has no "objektive"', "objective"),
    (ALWAYS + SHARE + "    compare: {burn: {objective: 95%, period: 5h}}", "6:46", "period: 5h does not fit", None),
    (ALWAYS + SHARE + "    compare: burn", "6:14", "objective: 95%", None),
    (
        ALWAYS + SHARE + "    compare: {burn: {objective: 95%}}\n    report: true",
        "6:5",
        "a report has no levels, and burn brings its own",
        None,
    ),
]  # fmt: skip - one mistake a line


@pytest.mark.parametrize(("text", "place", "message", "meant"), FILES, ids=[each[2][:40] for each in FILES])
def test_a_wrong_file_is_told_at_its_place(tmp_path: Path, text: str, place: str, message: str, meant: str | None) -> None:
    findings = looked_at(tmp_path, text)

    assert f"{findings[0].line}:{findings[0].column}" == place, render_text(findings)
    assert [each.severity for each in findings] == ["error"], render_text(findings)
    assert message in findings[0].message
    assert findings[0].suggestion == meant


RECEIVER_FILES = [
    ("oncall: {}", "1:1", '"oncall" is not a key of receivers.yaml; it has receivers, fallback', None),
    ("receivers: []", "1:12", 'receivers.yaml needs "receivers:"', None),
    ("receivers:\n  a: slack", "2:6", "one kind of channel with its options; the kinds are apprise, email, slack", None),
    ("receivers:\n  a: {slack: {channel: '#a'}, email: {to: [a@b.example]}}", "2:6", "one kind of channel", None),
    ("receivers:\n  a: {slak: {channel: '#a'}}", "2:7", 'there is no kind of channel "slak"', "slack"),
    ("receivers:\n  a: {channel: '#a'}", "2:7", "the kind of channel is missing; write {slack: {channel: ...}}", None),
    ("receivers:\n  a: {to: [a@b.c], send_resolved: no}", "2:7", "write {email: {to: ..., send_resolved: ...}}", None),
    ("receivers:\n  a: {slack: }", "2:7", "slack needs its options", None),
    ("receivers:\n  a: {slack: {chanel: '#a'}}", "2:15", '"chanel" is not a key of a receiver of kind slack', "channel"),
    ("receivers:\n  a: {email: {}}", "2:14", 'a receiver of kind email needs "to"', None),
    ("receivers:\n  a: {webhook: {url_env: A, secret: b}}", "2:29", '"secret" is not a key of', "secret_env"),
    ("receivers:\n  a: {webhook: {url_env: 'https://h.example'}}", "2:26", "url_env", None),
    ("receivers:\n  a: {email: {to: [5]}}", "2:20", "to: text is expected here", None),
    ("receivers:\n  a: {email: {to: [a@b.example], send_resolved: maybe}}", "2:49", "send_resolved is true or false", None),
    ("receivers:\n  a: {slack: {channel: }}", "2:15", '"channel" has no value', None),
    ("receivers:\n  A B: {email: {to: [a@b.example]}}", "2:3", '"A B" is not a name', "a-b"),
    (RECEIVERS.replace("fallback: oncall-mail", "fallback: zzz"), "4:11", "; there are oncall-mail, support-slack", None),
    (RECEIVERS.replace("fallback: oncall", "fallback: oncal"), "4:11", 'there is no receiver "oncal-mail"', "oncall-mail"),
]  # fmt: skip - one mistake a line


@pytest.mark.parametrize(("text", "place", "message", "meant"), RECEIVER_FILES, ids=[each[2][:40] for each in RECEIVER_FILES])
def test_a_wrong_receiver_is_told_at_its_place(tmp_path: Path, text: str, place: str, message: str, meant: str | None) -> None:
    findings = looked_at(tmp_path, HEAD.replace("notify: support-slack", "notify: []") + COUNT + LEVEL, text)
    first = findings[0]

    assert f"{first.file.rpartition('/')[2]}:{first.line}:{first.column}" == f"receivers.yaml:{place}", render_text(findings)
    assert [each.message for each in findings if each.severity == "error"] == [first.message]
    assert message in first.message
    assert first.suggestion == meant


def test_five_mistakes_in_one_file_are_told_together(tmp_path: Path) -> None:
    text = """\
defaults: {notify: support-slak}
rules:
  - id: slow-first-answer
    titel: Zu langsam 😀
    every: 5 minutes
    window: 1h
    filters:
      - {property: status, operation: EQ, values: [offen]}
    measure: {median: timeToCloseMillis}
    warning: {above: 5m, recover: 300}
"""
    shown = render_text(looked_at(tmp_path, text)).replace(f"{tmp_path}/", "")

    assert (
        shown
        == """\
rules.yaml:1:20: error: there is no receiver "support-slak"
    1 | defaults: {notify: support-slak}
      |                    ^^^^^^^^^^^^ did you mean "support-slack"?
rules.yaml:4:5: error: "titel" is not a key of a rule
    4 |     titel: Zu langsam 😀
      |     ^^^^^ did you mean "title"?
rules.yaml:5:12: error: every: "5 minutes" is not a duration; write it like 90s, 5m, 1h30m or 7d
    5 |     every: 5 minutes
      |            ^^^^^^^^^ did you mean "5m"?
rules.yaml:8:52: error: filters: status is one of open, closed, pending, archived, not "offen"
    8 |       - {property: status, operation: EQ, values: [offen]}
      |                                                    ^^^^^ did you mean "open"?
rules.yaml:10:35: error: recover: this measure is a duration: 300 has no unit; write 300s, 300m or 300h
   10 |     warning: {above: 5m, recover: 300}
      |                                   ^^^"""
    )


def test_the_same_wrong_default_is_told_once(tmp_path: Path) -> None:
    rules = "".join(f"  - {{id: r{n}, measure: count, critical: {{above: 1}}}}\n" for n in range(3))
    findings = looked_at(tmp_path, "defaults: {every: 5, window: 1h, notify: nobody}\nrules:\n" + rules)

    assert [(each.line, each.column) for each in findings] == [(1, 19), (1, 42)]


def test_an_unreadable_receivers_file_does_not_make_every_receiver_unknown(tmp_path: Path) -> None:
    findings = looked_at(tmp_path, HEAD + COUNT + LEVEL, "receivers: {a: {slack: {channel: '#a'}")

    assert [each.file.rpartition("/")[2] for each in findings] == ["receivers.yaml"]


def test_a_folder_without_receivers_says_so(tmp_path: Path) -> None:
    (finding,) = looked_at(tmp_path, HEAD + COUNT + LEVEL, receivers=None)

    assert finding.message == f'there is no receiver "support-slack"; there is no receivers.yaml in {tmp_path}'


def test_receivers_that_there_are_none_of_are_told_as_such(tmp_path: Path) -> None:
    (finding,) = looked_at(tmp_path, HEAD + COUNT + LEVEL, receivers="receivers: {}")

    assert finding.message == 'there is no receiver "support-slack"; receivers.yaml names none'


def test_a_plain_median_of_answer_times_is_warned_of(tmp_path: Path) -> None:
    text = HEAD + "    measure: {median: timeToAgentResponseMillis}\n    min_conversations: 5\n    critical: {above: 5m}\n"
    (finding,) = looked_at(tmp_path, text)

    assert (finding.severity, finding.line, finding.column) == ("warning", 6, 14)
    assert "looks best exactly when nobody answers; add unanswered: as_waited" in finding.message


@pytest.mark.parametrize(
    "keys",
    [
        "    unanswered: as_waited\n",
        "    unanswered: ignore\n",
        "    filters:\n      - {property: timeToAgentResponseMillis, operation: HAS_PROPERTY}\n",
    ],
)
def test_a_median_that_counts_the_waiting_or_leaves_them_out_on_purpose_is_fine(tmp_path: Path, keys: str) -> None:
    text = (
        HEAD + "    measure: {median: timeToAgentResponseMillis}\n    critical: {above: 5m}\n    min_conversations: 5\n" + keys
    )

    assert looked_at(tmp_path, text) == ()


@pytest.mark.parametrize(
    ("notify", "message"),
    [
        ("", 'nobody receives this rule; add "notify"'),
        ("    notify: []\n", "nobody receives this rule"),
        ("    notify: {warning: support-slack}\n", "nobody receives critical"),
    ],
)
def test_a_level_that_nobody_receives_is_warned_of(tmp_path: Path, notify: str, message: str) -> None:
    text = HEAD.replace("    notify: support-slack\n", notify) + COUNT + LEVEL + "    warning: {above: 1}\n"
    (finding,) = looked_at(tmp_path, text)

    assert finding.severity == "warning"
    assert finding.message.startswith(message)


def test_a_pasted_webhook_address_is_not_repeated(tmp_path: Path) -> None:
    receivers = "receivers:\n  a: {slack: {webhook: 'https://hooks.slack.com/services/T0/B0/secretsecret'}}\n"

    assert "secretsecret" not in render_text(looked_at(tmp_path, HEAD + COUNT + LEVEL, receivers))


def test_whoever_waits_has_no_agent_so_a_measure_by_agent_flatters_nobody(tmp_path: Path) -> None:
    (tmp_path / "receivers.yaml").write_text("receivers: {team: {email: {to: [team@example.com]}}}")
    (tmp_path / "rules.yaml").write_text(
        "rules: [{id: slow-agent, every: 5m, window: 1h, by: lastAgentId, measure: {p90: timeToAgentResponseMillis}, "
        "min_conversations: 5, warning: {above: 5m}, notify: team}]"
    )
    assert inspect(tmp_path)[1] == ()
