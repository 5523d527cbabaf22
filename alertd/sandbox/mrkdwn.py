"""Slack's mrkdwn as safe HTML: https://docs.slack.dev/messaging/formatting-message-text.

Whatever is not a piece of mrkdwn is escaped; links lead to http and https only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo

from markupsafe import Markup, escape

# Those that messages about alerts use; any other shortcode stays as it is written.
EMOJI: Mapping[str, str] = {
    "alarm_clock": "⏰",
    "arrow_down": "⬇️",
    "arrow_right": "➡️",
    "arrow_up": "⬆️",
    "bar_chart": "📊",
    "bell": "🔔",
    "blue_book": "📘",
    "book": "📖",
    "bulb": "💡",
    "bust_in_silhouette": "👤",
    "calendar": "📅",
    "chart_with_downwards_trend": "📉",
    "chart_with_upwards_trend": "📈",
    "clock3": "🕒",
    "exclamation": "❗",
    "eyes": "👀",
    "fire": "🔥",
    "hourglass": "⌛",
    "hourglass_flowing_sand": "⏳",
    "information_source": "ℹ️",
    "large_blue_circle": "🔵",
    "large_green_circle": "🟢",
    "large_orange_circle": "🟠",
    "large_yellow_circle": "🟡",
    "link": "🔗",
    "memo": "📝",
    "mute": "🔇",
    "no_bell": "🔕",
    "no_entry": "⛔",
    "question": "❓",
    "red_circle": "🔴",
    "repeat": "🔁",
    "rotating_light": "🚨",
    "speech_balloon": "💬",
    "stopwatch": "⏱️",
    "test_tube": "🧪",
    "tada": "🎉",
    "warning": "⚠️",
    "white_check_mark": "✅",
    "white_circle": "⚪",
    "wrench": "🔧",
    "x": "❌",
    "zzz": "💤",
}

# What a date token may ask for: https://docs.slack.dev/messaging/formatting-message-text#date-formatting
_DATES: Mapping[str, str] = {
    "date_num": "%Y-%m-%d",
    "date_slash": "%m/%d/%Y",
    "date_long": "%A, %-d %B %Y",
    "date_long_pretty": "%A, %-d %B %Y",
    "date_short": "%-d %b %Y",
    "date_short_pretty": "%-d %b %Y",
    "date": "%-d %B %Y",
    "date_pretty": "%-d %B %Y",
    "time": "%H:%M",
    "time_secs": "%H:%M:%S",
}

_TOKEN = re.compile(
    r"```(?P<pre>.+?)```"
    r"|`(?P<code>[^`\n]+)`"
    r"|<(?P<special>[^<>\n]+)>"
    r"|(?<!\w)\*(?P<strong>[^\s*](?:[^*\n]*[^\s*])?)\*(?!\w)"
    r"|(?<!\w)_(?P<em>[^\s_](?:[^_\n]*[^\s_])?)_(?!\w)"
    r"|(?<!\w)~(?P<s>[^\s~](?:[^~\n]*[^\s~])?)~(?!\w)"
    r"|:(?P<emoji>[a-z0-9_+-]+):",
    re.DOTALL,
)
_QUOTE = re.compile(r"(?:&gt;|>) ?")
_BARE, _QUOTED = Markup("{}"), Markup("<blockquote>{}</blockquote>")
_WRAPS: Mapping[str, Markup] = {
    "strong": Markup("<strong>{}</strong>"),
    "em": Markup("<em>{}</em>"),
    "s": Markup("<s>{}</s>"),
}


def mrkdwn(text: str, zone: tzinfo | None = None) -> Markup:
    """Text with mrkdwn as HTML; dates are written in `zone`, None being the machine's own."""
    return Markup("").join(wrap.format(_inline(part, zone)) for wrap, part in _runs(text))


def plain(text: str) -> Markup:
    """Plain text with emoji shortcodes as HTML: a header, a button."""
    return Markup("").join(
        EMOJI.get(part[1:-1], part) if part.startswith(":") else escape(part) for part in re.split(r"(:[a-z0-9_+-]+:)", text)
    )


def offset(moment: datetime) -> str:
    """How far an aware time is from UTC: `UTC+01:00`."""
    return f"UTC{moment.isoformat()[-6:]}"


def _runs(text: str) -> list[tuple[Markup, str]]:
    """Runs of quoted and of other lines, with what they are wrapped in; a block of code is never taken apart."""
    if "```" in text:
        return [(_BARE, text)]
    runs: list[tuple[Markup, str]] = []
    for line in text.split("\n"):
        quote = _QUOTE.match(line)
        wrap, words = (_QUOTED, line[quote.end() :]) if quote else (_BARE, line)
        if runs and runs[-1][0] == wrap:
            runs[-1] = (wrap, f"{runs[-1][1]}\n{words}")
        else:
            runs.append((wrap, words))
    return runs


def _inline(text: str, zone: tzinfo | None) -> Markup:
    done, out = 0, Markup("")
    for match in _TOKEN.finditer(text):
        out += _words(text[done : match.start()]) + _piece(match, zone)
        done = match.end()
    return out + _words(text[done:])


def _piece(match: re.Match[str], zone: tzinfo | None) -> Markup:
    """One piece of mrkdwn as HTML."""
    kind = match.lastgroup or ""
    inner = match[kind]
    match kind:
        case "pre":
            return Markup("<pre>{}</pre>").format(_decoded(inner.strip("\n")))
        case "code":
            return Markup("<code>{}</code>").format(_decoded(inner))
        case "special":
            return _special(inner, zone)
        case "emoji":
            return escape(EMOJI.get(inner, f":{inner}:"))
        case _:
            return _WRAPS[kind].format(_inline(inner, zone))


def _special(inner: str, zone: tzinfo | None) -> Markup:
    """What stands between < and >: a link, a mention, a date; anything else is shown as it is, so that it is noticed."""
    target, _, label = inner.partition("|")
    if target.startswith("!date^"):
        return _date(target, label, zone)
    if target.startswith(("!", "@", "#")):
        return Markup('<span class="mention">{}</span>').format(_mention(target, label))
    if target.startswith("mailto:"):
        return _words(label or target.removeprefix("mailto:"))
    return _link(_decoded(target), _words(label or target)) if _leads(target) else escape(f"<{_decoded(inner)}>")


def _mention(target: str, label: str) -> str:
    sigil = "#" if target.startswith("#") else "@"
    name = _decoded(label) or target.removeprefix("!subteam^").lstrip("!@#")
    return sigil + name.lstrip("@#")


def _leads(address: str) -> bool:
    return re.match(r"https?://", address, re.IGNORECASE) is not None


def _link(address: str, words: Markup) -> Markup:
    return Markup('<a href="{}" target="_blank" rel="noopener noreferrer">{}</a>').format(address, words)


def _date(target: str, fallback: str, zone: tzinfo | None) -> Markup:
    """`!date^1392734382^{date_num} at {time}^https://...`, or its fallback where it makes no sense."""
    _, stamp, form, link, *_ = [*target.split("^"), "", "", ""]
    try:
        moment = datetime.fromtimestamp(int(stamp), UTC).astimezone(zone)
    except (ValueError, OverflowError, OSError):
        return escape(_decoded(fallback))
    words = re.sub(r"\{(\w+)\}", lambda name: _spelled(moment, name[1]), _decoded(form))
    title = f"{moment:%Y-%m-%d %H:%M:%S} {offset(moment)}"
    shown = Markup('<time datetime="{}" title="{}">{}</time>').format(moment.isoformat(), title, words)
    return _link(_decoded(link), shown) if _leads(link) else shown


def _spelled(moment: datetime, name: str) -> str:
    return moment.strftime(_DATES[name]) if name in _DATES else f"{{{name}}}"


def _words(text: str) -> Markup:
    return Markup("<br>").join(escape(_decoded(line)) for line in text.split("\n"))


def _decoded(text: str) -> str:
    """Undo the three escapes that Slack asks for, and no other."""
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
