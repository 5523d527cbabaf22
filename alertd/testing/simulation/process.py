"""A daemon's life without its threads: the engine that the daemon has, and whoever sends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from alertd.engine import Claimed, Engine, Parts
from alertd.errors import StoreError
from alertd.evaluation.settling import Judged
from alertd.facts import Kind
from alertd.reloading import Loaded
from alertd.testing.simulation import cast
from alertd.testing.simulation.peers import Desk
from alertd.watching import Watch


class Process(Engine):
    """What the daemon has in memory. Only the store and the rule files outlive it."""

    def __init__(self, parts: Parts, folder: Path, desks: Mapping[str, Desk]) -> None:
        self.source, self._desks = parts.source, desks
        self.watch = Watch(parts.clock)
        super().__init__(parts, folder, self.watch, lambda: None)

    def take(self, loaded: Loaded) -> None:
        """Receivers are played; all else is as it stands in the files."""
        super().take(replace(loaded, book=cast.at_desks(loaded.book, self._desks)))

    def check(self, claimed: Claimed) -> Iterator[tuple[Judged, Kind | None]]:
        """As the daemon's thread does: what goes wrong is seen in its health, and the next instant is tried all the same."""
        try:
            yield from super().check(claimed)
        except StoreError as problem:
            self.watch.broke_off(problem)

    def send(self, most: int) -> int:
        """Deliver what is due as the daemon's threads do, so many messages at most."""
        sent = 0
        try:
            if self.outbox.next_due() is None:  # looking is cheaper than trying to claim
                return 0
            while sent < most and self.outbox.step():
                sent += 1
        except StoreError as problem:
            self.watch.sending_failed(problem)
        return sent
