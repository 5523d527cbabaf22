"""Whoever edits the rule files, well or badly, and what the process makes of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alertd.clock import SECOND, Duration
from alertd.rulebook.rule import Rule, Rulebook
from alertd.testing.simulation import cast, checks
from alertd.troubles import RULEBOOK

if TYPE_CHECKING:  # it has one of these
    from alertd.testing.simulation.running import Simulation

_LOOKS = 2  # after an edit, until what came of it must be seen: two that agree make it settled
SOON: Duration = 10 * SECOND  # how often the daemon looks


class Author:
    """The folder and its history. `pending`: looks until what was written is believed."""

    def __init__(self, world: Simulation, folder: Path) -> None:
        self._world, self.folder = world, folder
        folder.mkdir()
        self.rules: list[Mapping[str, Any]] = list(cast.RULES)
        self.pending, self.wrong, self._refused = 0, False, 0
        self._book = Rulebook({}, {})  # that ran when it was looked at last: a process that was killed may have had a newer one
        self._good: list[Mapping[str, str]] = []  # texts that may run: those that were taken last, and those written last
        self.write(self.rules)

    def write(self, rules: list[Mapping[str, Any]]) -> None:
        """Good files with these rules."""
        self.rules = rules
        texts = cast.files(rules)
        self._good = [*self._good[-1:], texts]
        self._put(texts)
        self.wrong = False

    def blunder(self, mistake: Mapping[str, str | None]) -> None:
        """A commit that is wrong."""
        self._put({name: text for name, text in (cast.files(self.rules) | dict(mistake)).items() if text is not None})
        self.wrong = True

    def look(self) -> None:
        """Let the process look at the files, if something happened to them, and see what becomes of it."""
        if not self.pending:
            return
        world = self._world
        world.unseen(world.look)
        views = self._views()
        world.process.look()
        self.pending -= 1
        if world.process.book is not self._book:
            world.unseen(lambda: self._changed(views))
        if not self.pending:
            world.unseen(self._settled)

    def _views(self) -> dict[str, object]:
        return {name: self._world.auditor.look.view(name) for name in self._book.rules}

    def _changed(self, views: Mapping[str, object]) -> None:
        """Another rulebook runs: what stays has not moved, and is followed on."""
        world, before, book = self._world, self._book, self._world.process.book
        self._book = book
        world.note(world.clock.elapsed, "rules", *sorted(book.rules))
        stay = [name for name in before.rules if name in book.rules]
        moved = {name for name in stay if book.rules[name].notify != before.rules[name].notify}
        world.auditor.promises.elsewhere |= {row["id"] for row in world.auditor.look.incidents.values() if row["rule"] in moved}
        world.look()
        world.auditor.must("I8", checks.i8_quiet({n: views[n] for n in stay}, {n: world.auditor.look.view(n) for n in stay}))
        for name in before.rules.keys() - book.rules.keys():
            world.auditor.timers.forget(name)

    def begun(self) -> None:
        """The first process runs."""
        self._book = self._world.process.book

    def restarted(self) -> None:
        """A new process has begun: it runs what the files say, or the last good ones where they are wrong."""
        world = self._world
        world.auditor.must("I8", checks.i8_good(self._running(), [_titles(texts) for texts in self._expected()]))
        self._changed(self._views())
        self.pending = _LOOKS

    def _expected(self) -> list[Mapping[str, str]]:
        return self._good if self.wrong else self._good[-1:]

    def _running(self) -> Mapping[str, Rule]:
        return self._world.process.book.rules

    def _settled(self) -> None:
        """It was looked at often enough: good files run, wrong ones have changed nothing and are told of."""
        world = self._world
        if world.disk.refused > self._refused:  # nothing could be taken or told: it is looked at again
            self._refused, self.pending = world.disk.refused, _LOOKS
            return
        world.look()
        told = world.auditor.look.open(RULEBOOK) is not None
        may = [set(_titles(texts)) for texts in self._expected()]
        world.auditor.must("I8", checks.i8_settled(set(self._running()), may, wrong=self.wrong, told=told))
        if not self.wrong:
            self._good = self._good[-1:]

    def _put(self, texts: Mapping[str, str]) -> None:
        for file in self.folder.iterdir():
            if file.name not in texts:
                file.unlink()
        for name, text in texts.items():
            (self.folder / name).write_text(text, encoding="utf-8")
        self.pending = _LOOKS


def _titles(texts: Mapping[str, str]) -> dict[str, str | None]:
    """The rules of good texts, with their titles where they have one."""
    return {str(each["id"]): each.get("title") for each in json.loads(texts["rules.yaml"])["rules"]}
