"""An HTTP request as it came, and all of it in one line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO


@dataclass(frozen=True)
class Heard:
    """What somebody said."""

    head: str
    body: str

    @property
    def everything(self) -> str:
        return f"you said: {self.head}\r\n\r\n{self.body}"

    @property
    def line(self) -> str:
        """The address and what should be secret, without line ends; short enough for a header."""
        said = [each.partition(" ")[2] for each in self.head.split("\r\n") if each.lower().startswith("authorization")]
        return " ".join([self.head.split(" ")[1], *said])[:4000]


def hear(stream: BinaryIO) -> Heard | None:
    """A request with its body; None if there was none."""
    lines = []
    while (line := stream.readline(65_536)) not in (b"\r\n", b""):
        lines.append(line.decode("latin-1").rstrip("\r\n"))
    if not lines or lines[0].count(" ") < 2:
        return None
    lengths = [int(each.partition(":")[2]) for each in lines if each.lower().startswith("content-length:")]
    return Heard("\r\n".join(lines), stream.read(sum(lengths)).decode("utf-8", "replace"))
