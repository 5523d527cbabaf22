"""What stands in a folder of templates may be no file, or far too large: a message is made all the same."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from alertd.notices.rendering import render_or_plain
from alertd.shipped import shipped
from alertd.testing import a_notice
from tests.hostile.fuzzing import little_memory


@pytest.mark.parametrize("kind", ["a gigabyte", "a pipe", "a device", "a link to itself", "a folder", "no text"])
def test_a_template_that_is_none_costs_the_look_and_not_the_message(tmp_path: Path, kind: str) -> None:
    place = tmp_path / "slack.j2"
    match kind:
        case "a gigabyte":
            with place.open("wb") as file:
                file.truncate(2**30)
        case "a pipe":
            os.mkfifo(place)
        case "a device":
            place.symlink_to("/dev/zero")
        case "a link to itself":
            place.symlink_to(place)
        case "a folder":
            place.mkdir()
        case "no text":
            place.write_bytes(b"\xff\xfe\0")
    with little_memory():
        parts = render_or_plain(
            "slack", a_notice(), names=lambda _property, _id: None, folders=(tmp_path, shipped("templates"))
        )
    assert "First answers are slow" in "".join(parts.values())
