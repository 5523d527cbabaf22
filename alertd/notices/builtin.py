"""The message that needs no template: it goes out when the template fails."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from alertd.facts import Kind
from alertd.notice import Notice
from alertd.notices import wording
from alertd.notices.context import Context, context
from alertd.notices.markup import Style
from alertd.notices.wording import Names

SHOWN = 10  # groups


def parts(style: Style, notice: Notice, names: Names, failure: str) -> dict[str, str]:
    """The parts of every kind of channel at once, with a line that says which template failed."""
    values = context(notice, names)
    headline = f"{values['icon']} {values['status']} · {values['headline']}"
    text = "\n".join(_lines(style, values, failure))
    return {
        "header": style.escape(f"{values['icon']} {values['headline']}"),
        "summary": text,
        "reply": style.escape(values["news"]),
        "plain": style.escape(headline),
        "subject": style.escape(f"[{values['status']}] {values['headline']}"),
        "text": f"{style.escape(headline)}\n\n{text}",
        "buttons": values["actions"],
        "open": values["address"],
    }


def _lines(style: Style, values: Context, failure: str) -> Iterator[str]:
    """What a template would tell, in the order of importance."""
    if values["followup"]:
        yield style.escape(values["news"])
    yield style.escape(values["summary"])
    if values["kind"] == Kind.REPORT:
        yield style.escape(f"{values['period']}, {values['timezone']}")
    elif values["kind"] != Kind.TEST:
        start, end = style.moment(values["opened_at"], values["at"]), values["resolved_at"]
        yield f"From {start} to {style.moment(end, values['at'])}" if end else f"Since {start}"
    yield from _groups(style, values)
    done = (("Acknowledged by ", values["acknowledged"]), ("Silenced ", values["silenced"]), ("", values["description"]))
    yield from (style.escape(f"{label}{text}") for label, text in done if text)
    for label, url in (("Runbook", values["runbook"]), ("Details", values["page"])):
        if url:
            yield style.link(url, label)
    yield from (f"Sent {late} late." for late in [values["late"]] if late)
    yield from (f"To acknowledge: {command}" for command in [values["command"]] if command)
    number = f"Incident {values['incident']}. " if values["incident"] else ""
    yield style.escape(f"{number}Rule {values['rule']}. Its template failed, so this is the built-in text: {failure}")


def _groups(style: Style, values: Context) -> Iterator[str]:
    """The worst groups, or the conversations that stand out."""
    for group in values["groups"][:SHOWN]:
        name = style.link(group["url"], group["name"]) if group["url"] else style.escape(group["name"])
        yield f"- {name} {style.escape(group['value'] or group['note'])}".rstrip()
    if (more := values["groups_total"] - min(len(values["groups"]), SHOWN)) > 0:
        yield f"- and {more:,} more"
    for example in values["examples"]:
        yield "- " + style.link(f"{wording.CONVERSATIONS}{example['id']}", f"conversation {example['id']}")


def digest(style: Style, values: Context, failure: str) -> dict[str, str]:
    """The same for many notices in one message: `values` are the variables of a digest."""
    headline = f"{values['icon']} {values['headline']}"
    listed = [style.escape(f"- {_told(line)}") for line in values["lines"]]
    if (more := values["total"] - len(listed)) > 0:
        listed.append(f"- and {more:,} more: alertd status lists them")
    failed = f"The template of summaries failed, so this is the built-in text: {failure}"
    text = "\n".join([style.escape(values["summarised"]), *listed, style.escape(failed)])
    return {
        "header": style.escape(headline),
        "summary": text,
        "plain": style.escape(headline),
        "subject": style.escape(f"[{values['status']}] {values['headline']}"),
        "text": f"{style.escape(headline)}\n\n{text}",
    }


def _told(line: Mapping[str, Any]) -> str:
    number = f" (incident {line['incident']})" if line["incident"] else ""
    return f"{line['icon']} {line['headline']}{number}"
