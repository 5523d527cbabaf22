"""Pictures: well-formed and bounded whatever is drawn, the same bytes for the same chart, and with what matters in them."""

from __future__ import annotations

import re
import struct
import sys
import zlib
from dataclasses import replace
from itertools import pairwise
from subprocess import run
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alertd.charts import Chart, facts, png, svg
from alertd.charts.drawing import FONT
from alertd.charts.lines import runs
from alertd.clock import MINUTE
from alertd.units import Unit

NS = "{http://www.w3.org/2000/svg}"
TIMES = tuple(f"14:{5 * number:02}" for number in range(8))
RISING = Chart(
    "Median time to the first answer",
    TIMES,
    tuple(minutes * float(MINUTE) for minutes in (2, 3, 2.5, 4, 4.5, 6, 6.5, 7.2)),
    Unit.DURATION,
    5.0 * MINUTE,
)
AGENTS = Chart(
    "Wait by agent", ("Priya Shah", "Tom Reed"), (22.0 * MINUTE, 3.0 * MINUTE), Unit.DURATION, 5.0 * MINUTE, bars=True
)
BAD = "#c62828"


def drawn(chart: Chart) -> ElementTree.Element:
    return ElementTree.fromstring(svg(chart))


def texts(chart: Chart) -> list[str]:
    return [each.text or "" for each in drawn(chart).iter(f"{NS}text")]


def charts() -> st.SearchStrategy[Chart]:
    numbers = st.floats(allow_nan=True, allow_infinity=True)
    labels = st.text(st.characters(), max_size=60)
    return st.builds(
        Chart,
        title=st.text(st.characters(), max_size=120),
        labels=st.lists(labels, max_size=90).map(tuple),
        values=st.lists(numbers | st.floats(-100, 100), max_size=90).map(tuple),
        unit=st.sampled_from(Unit),
        limit=st.none() | numbers,
        bars=st.booleans(),
        direction=st.sampled_from(["above", "below", "outside"]),
        limit_name=st.text(max_size=30),
    )


@settings(max_examples=120, deadline=None)
@given(charts(), st.integers(0, 3_000), st.booleans())
def test_any_chart_is_small_well_formed_and_inside_its_frame(chart: Chart, width: int, dark: bool) -> None:
    text = svg(chart, width=width, dark=dark)
    assert len(text.encode()) < 20_000
    root = ElementTree.fromstring(text)
    wide, high = float(root.attrib["width"]), float(root.attrib["height"])
    for each in root.iter():
        across = [each.attrib[name] for name in ("x", "cx") if name in each.attrib]
        down = [each.attrib[name] for name in ("y", "cy") if name in each.attrib]
        for pair in re.findall(r"(-?[\d.naif]+),(-?[\d.naif]+)", each.attrib.get("d", "")):
            across.append(pair[0])
            down.append(pair[1])
        assert all(0 <= float(x) <= wide for x in across)
        assert all(0 <= float(y) <= high for y in down)
        if each.tag == f"{NS}rect":
            assert float(each.attrib.get("x", 0)) + float(each.attrib["width"]) <= wide


@pytest.mark.parametrize("chart", [RISING, AGENTS])
def test_a_picture_needs_nothing_from_elsewhere(chart: Chart) -> None:
    assert not re.search(r"href|url\(|@import|<script|<style|<image", svg(chart))


@pytest.mark.parametrize("chart", [RISING, AGENTS])
def test_who_cannot_see_a_picture_is_told_what_is_in_it(chart: Chart) -> None:
    root = drawn(chart)
    assert root.attrib["role"] == "img"
    assert [each.text for each in root[:2]] == [chart.title, facts(chart)]


def test_a_line_names_its_newest_value_its_limit_and_its_times() -> None:
    assert {"7 min 12 s", "limit 5 min", "14:00", "14:35", "2 min"} <= set(texts(RISING))


def test_bars_name_their_groups_and_values() -> None:
    assert {"Priya Shah", "22 min", "Tom Reed", "3 min", "limit 5 min"} <= set(texts(AGENTS))


def test_what_is_over_the_limit_has_a_colour_of_its_own() -> None:
    below = replace(RISING, limit=None)
    assert svg(RISING).count(BAD) > svg(below).count(BAD) == 0
    colours = {each.text: each.attrib["fill"] for each in drawn(AGENTS).iter(f"{NS}text")}
    assert colours["22 min"] == BAD != colours["3 min"]


def test_where_it_should_stay_above_that_is_what_is_below() -> None:
    turned = replace(RISING, values=tuple(-each for each in RISING.values), limit=-5.0 * MINUTE)
    assert svg(replace(turned, direction="below")).count(BAD) == svg(RISING).count(BAD)
    assert svg(turned).count(BAD) != svg(RISING).count(BAD)


def test_a_stretch_over_the_limit_begins_and_ends_where_the_line_crosses_it() -> None:
    assert list(runs([0, 10, 10, 0], 5, above=True)) == [[(0.5, 5), (1, 10), (2, 10), (2.5, 5)]]
    assert list(runs([8, 4, 8, 2], 5, above=False)) == [[(0.75, 5), (1, 4), (1.25, 5)], [(2.5, 5), (3, 2)]]
    assert not list(runs([5, 5], 5, above=True))


@given(st.lists(st.floats(-1e6, 1e6), max_size=30), st.floats(-1e6, 1e6), st.booleans())
def test_every_value_over_the_limit_is_in_one_stretch_and_no_other(values: list[float], limit: float, above: bool) -> None:
    found = list(runs(values, limit, above=above))
    bad = [(number, value) for number, value in enumerate(values) if (value > limit if above else value < limit)]
    assert [each for run in found for each in run if each[1] != limit] == bad
    assert all(earlier[0] <= later[0] for run in found for earlier, later in pairwise(run))


def test_the_newest_value_and_the_limit_do_not_lie_on_one_another() -> None:
    near = replace(RISING, values=(*RISING.values[:-1], 5.05 * MINUTE))
    heights = [float(each.attrib["y"]) for each in drawn(near).iter(f"{NS}text") if each.text in ("limit 5 min", "5 min 3 s")]
    assert len(heights) == 2
    assert abs(heights[0] - heights[1]) >= 12


def test_a_picture_of_nothing_says_so() -> None:
    assert "nothing was measured" in texts(Chart("Wait", (), (), Unit.NUMBER))


def test_a_picture_for_dark_pages_has_other_colours_and_the_same_words() -> None:
    assert BAD not in svg(RISING, dark=True)
    assert re.sub("#[0-9a-f]{6}", "", svg(RISING)) == re.sub("#[0-9a-f]{6}", "", svg(RISING, dark=True))


def size(picture: bytes) -> tuple[int, int]:
    width, height = struct.unpack(">II", picture[16:24])
    return width, height


def test_a_png_has_twice_the_pixels_and_the_same_bytes_each_time() -> None:
    once, again = png(RISING, width=400), png(RISING, width=400)
    assert once[:8] == b"\x89PNG\r\n\x1a\n"
    assert size(once) == (800, 440)
    assert once == again
    assert zlib.crc32(png(replace(RISING, title="Something else"), width=400)) != zlib.crc32(once)


@pytest.mark.parametrize("title", ["Größe, naïve – “x” ≥ 5 €", "Скорость ответа", "Χρόνος", "זמן", "الوقت"])
def test_every_text_is_drawn_with_the_font_that_comes_along(title: str) -> None:
    """Where a font is missing, nothing would be drawn; where a letter is, the same box for each."""
    boxes = "\u4e00" * len(title)
    assert len({png(replace(RISING, title=each)) for each in (title, "", boxes)}) == 3
    assert (FONT.parent / "LICENSE").read_text(encoding="utf-8").startswith("Fonts are (c) Bitstream")


def test_emoji_which_no_font_of_ours_has_leave_no_box_in_a_png() -> None:
    assert png(replace(AGENTS, title="Wait 🌸 by ❤️ agent 👩‍💻")) == png(replace(AGENTS, title="Wait  by  agent "))
    assert "🌸" in svg(replace(AGENTS, labels=("Priya 🌸", "Tom")))


def test_the_library_that_draws_is_loaded_when_something_is_drawn() -> None:
    code = "import sys, alertd.charts; sys.exit('resvg_py' in sys.modules)"
    assert run([sys.executable, "-c", code], check=False).returncode == 0
