"""The picture that goes with a notice: what was measured lately, or how the groups compare."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, time
from itertools import pairwise

from alertd.charts import Chart
from alertd.clock import DAY, LAST, MINUTE, Instant
from alertd.facts import CONVERSATION, Kind
from alertd.notice import Notice
from alertd.notices import markup, wording
from alertd.notices.wording import Names
from alertd.rulebook.rule import badness
from alertd.rulebook.zones import wall_clock

# What Slack takes: https://docs.slack.dev/reference/block-kit/blocks/data-visualization-block.
POINTS, LABEL, TITLE = 20, 20, 50
_LINE, _BARS = 3, 2  # fewer points, fewer bars tell nothing that the text does not


def chart_of(notice: Notice, names: Names) -> Chart | None:
    """The picture of a notice; None where there is nothing to be seen. Names are made harmless and short."""
    if notice.kind is Kind.TEST or notice.text is not None or notice.by == CONVERSATION:
        return None
    return _bars(notice, names) if notice.by else _line(notice)


def _line(notice: Notice) -> Chart | None:
    found = [(at, value) for at, value in notice.trail if math.isfinite(value)]
    if len(found) < _LINE:
        return None
    points = _thinned(found, notice.direction)
    labels = tuple(_labels([at for at, _ in points], notice.timezone))
    return _chart(notice, _measure(notice), labels, tuple(value for _, value in points), notice.limit)


def _bars(notice: Notice, names: Names) -> Chart | None:
    def known(by: str, number: int) -> str | None:
        return markup.line(names(by, number) or "", 80) or None

    found = [(group, group.value) for group in notice.groups if group.value is not None and math.isfinite(group.value)][:POINTS]
    if len(found) < _BARS:
        return None
    # Where some fire at a higher level than others, the limit that all of them have passed.
    limits = [group.limit for group, _ in found if group.limit is not None]
    limit = min(limits, key=lambda each: badness(each, notice.direction), default=None)
    by = f"{_measure(notice)} by {wording.noun(notice.by, 1)}"
    title = by if len(by) <= TITLE else _measure(notice)
    labels = tuple(_different([wording.group_name(group, known) for group, _ in found]))
    return _chart(notice, title, labels, tuple(value for _, value in found), limit)


def _chart(notice: Notice, title: str, labels: tuple[str, ...], values: tuple[float, ...], limit: float | None) -> Chart:
    return Chart(
        title=title if len(title) <= TITLE else title[: TITLE - 1].rpartition(" ")[0] + "…",
        labels=labels,
        values=values,
        unit=notice.unit,
        limit=limit if limit is not None and math.isfinite(limit) else None,
        bars=bool(notice.by),
        direction=notice.direction,
        limit_name=wording.limit_word(notice),
    )


def _measure(notice: Notice) -> str:
    words = markup.line(notice.measure, 200) or markup.line(notice.title, 200) or "value"
    return words[:1].upper() + words[1:]


def _thinned(points: Sequence[tuple[Instant, float]], direction: str) -> Sequence[tuple[Instant, float]]:
    """So few points that Slack takes them, at even distances: the first, the last and the worst are among them."""
    last = len(points) - 1
    if last < POINTS:
        return points
    kept = [round(number * last / (POINTS - 1)) for number in range(POINTS)]
    worst = max(range(last + 1), key=lambda number: badness(points[number][1], direction))
    if worst not in kept:
        kept[min(range(1, POINTS - 1), key=lambda place: abs(kept[place] - worst))] = worst
    return [points[number] for number in kept]


def _labels(moments: Sequence[Instant], timezone: str) -> list[str]:
    """Clock times, each different: with the day over more than a day, with seconds where checks are that close."""
    walls = [wall_clock(min(max(each, 0), LAST - 2 * DAY), timezone) for each in moments]  # as far as Python has dates
    close = any(later - earlier < MINUTE for earlier, later in pairwise(moments))
    clock = "%H:%M:%S" if close else "%H:%M"
    if moments[-1] - moments[0] < DAY:
        return _different([f"{each:{clock}}" for each in walls])
    if len({each.time() for each in walls}) == 1 and walls[0].time() == time():
        return _different([_day(each) for each in walls])
    return _different([f"{_day(each)} {each:{clock}}" for each in walls])


def _day(moment: datetime) -> str:
    return f"{moment.day} {markup.MONTHS[moment.month - 1]}"


def _different(labels: Sequence[str]) -> list[str]:
    """The labels cut to what Slack takes; a number behind those that would be the same."""
    given = dict[str, None]()
    for each in labels:
        label, number = _short(each, LABEL), 2
        while label in given:
            tail = f" ({number})"
            label, number = _short(each, LABEL - len(tail)) + tail, number + 1
        given[label] = None
    return list(given)


def _short(text: str, most: int) -> str:
    """The text cut to so many characters, and a sign that it was."""
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"
