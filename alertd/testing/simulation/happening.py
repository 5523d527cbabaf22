"""What happens in a run, besides time: peers get worse and better, people act, clocks are set, processes end, rules change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from alertd.clock import DAY, HOUR, MINUTE, Duration
from alertd.errors import ReportingError, StoreError
from alertd.notices import acting, silences
from alertd.notices.silences import Silence
from alertd.planning.needs import needs_of
from alertd.planning.planner import alone
from alertd.reporting.budget import Slot
from alertd.testing.simulation import cast
from alertd.testing.simulation.peers import API_WEATHERS, PATIENCE, RECEIVER_WEATHERS
from alertd.testing.simulation.violation import Killed

if TYPE_CHECKING:  # it has one of these
    from alertd.testing.simulation.running import Simulation

_MEAN_PAUSE = 12 * MINUTE


class Happenings:
    """One thing after the other; `at` is when the next one comes (elapsed time)."""

    def __init__(self, world: Simulation) -> None:
        self._world, self.at = world, 5 * MINUTE
        self._later: list[tuple[Duration, Callable[[], None]]] = []  # what has an end
        self._wrong: Duration = 0  # by how much our clock is set wrong
        self._kinds: tuple[tuple[int, Callable[[], None]], ...] = (
            (5, self._api_fails),
            (2, self._a_rule_is_poison),
            (6, self._a_receiver_fails),
            (5, self._killed_at_a_statement),
            (3, self._killed_in_a_send),
            (2, self._killed_in_a_call),
            (2, self._killed_now),
            (3, self._rules_change),
            (3, self._rules_come_back),
            (3, self._rules_are_wrong),
            (2, self._the_disk_is_full),
            (1, self._history_is_pruned),
            (2, self._a_template_is_broken),
            (4, self._somebody_silences),
            (4, self._somebody_has_it),
            (1, self._somebody_sets_the_clock),
            (2, self._others_call),
            (1, self._the_machine_sleeps),
        )

    def go_on(self) -> None:
        """Let happen what has its time now."""
        world = self._world
        due = [each for each in self._later if each[0] <= world.clock.elapsed]
        self._later = [each for each in self._later if each not in due]
        for _, end in due:
            end()
        if self.at <= world.clock.elapsed:
            self.at = world.clock.elapsed + round(world.luck.expovariate(1 / _MEAN_PAUSE)) + 1
            (happens,) = world.luck.choices([each for _, each in self._kinds], [weight for weight, _ in self._kinds])
            world.run.happened[happens.__name__.strip("_").replace("_", " ")] += 1
            world.note(world.clock.elapsed, happens.__name__)
            happens()

    def over(self) -> None:
        """Nothing happens any more, and what was bad is good again."""
        for _, end in self._later:
            end()
        self._later = []
        world = self._world
        world.fuse.left, world.api.kill_in = 0, 0
        world.disk.left, world.disk.broken = 0, False
        for desk in world.desks.values():
            desk.kill, desk.weather = "", "fine"

    def _for_a_while(self, end: Callable[[], None], *minutes: int) -> None:
        self._later.append((self._world.clock.elapsed + self._world.luck.choice(minutes) * MINUTE, end))

    def _api_fails(self) -> None:
        api = self._world.api
        api.weather = self._world.luck.choice(API_WEATHERS)

        def works() -> None:
            api.weather = "fine"

        self._for_a_while(works, 2, 8, 20, 50)

    def _a_rule_is_poison(self) -> None:
        api = self._world.api
        api.poisoned = True

        def works() -> None:
            api.poisoned = False

        self._for_a_while(works, 30, 90)

    def _a_receiver_fails(self) -> None:
        desk = self._world.desks[self._world.luck.choice(cast.RECEIVERS)]
        desk.weather = self._world.luck.choice(RECEIVER_WEATHERS)

        def works() -> None:
            desk.weather = "fine"

        self._for_a_while(works, 2, 8, 20, 60)

    def _killed_at_a_statement(self) -> None:
        self._world.fuse.left = self._world.luck.randint(1, 120)

    def _killed_in_a_send(self) -> None:
        chance = self._world.luck
        self._world.desks[chance.choice(cast.RECEIVERS[:3])].kill = chance.choice(("before", "after"))

    def _killed_in_a_call(self) -> None:
        self._world.api.kill_in = self._world.luck.randint(1, 3)

    def _killed_now(self) -> None:
        raise Killed

    def _rules_change(self) -> None:
        chance, author = self._world.luck, self._world.author
        firing = [str(each["id"]) for each in author.rules if self._world.auditor.look.open(str(each["id"]))]
        name = chance.choice(firing if firing and chance.random() < 0.5 else cast.NAMES)
        what = chance.choice((*cast.CHANGES, "removed", "removed"))
        if name == cast.DAILY and what != "title":
            return
        changed = [{**each, **cast.CHANGES[what]} for each in author.rules if each["id"] == name and what in cast.CHANGES]
        author.write([each for each in author.rules if each["id"] != name] + [_told(each) for each in changed])

    def _rules_come_back(self) -> None:
        self._world.author.write(list(cast.RULES))

    def _rules_are_wrong(self) -> None:
        author = self._world.author
        author.blunder(self._world.luck.choice(cast.MISTAKES))

        def mended() -> None:
            if author.wrong:
                author.write(author.rules)

        self._for_a_while(mended, 2, 15, 60)

    def _the_disk_is_full(self) -> None:
        disk, chance = self._world.disk, self._world.luck
        disk.left, disk.complaint = chance.randint(1, 60), chance.choice(("database or disk is full", "disk I/O error"))

        def has_room() -> None:
            disk.left, disk.broken = 0, False

        self._for_a_while(has_room, 1, 6, 25)

    def _a_template_is_broken(self) -> None:
        writer = self._world.writer
        writer.broken = True

        def mended() -> None:
            writer.broken = False

        self._for_a_while(mended, 10, 60)

    def _history_is_pruned(self) -> None:
        with suppress(StoreError):
            self._world.process.prune(DAY)

    def _somebody_silences(self) -> None:
        world, chance = self._world, self._world.luck
        now = world.clock.now()
        of = chance.choice((None, "slow", "agents", "silent", "waits"))
        group = "lastAgentId=2" if of == "agents" and chance.random() < 0.5 else None
        silence = Silence(now, now + chance.choice((15, 60, 180)) * MINUTE, "ann", rule=of, group=group)
        try:
            with world.database.write() as transaction:
                number = silences.add(transaction, silence)
                acting.show_silence(transaction, replace(silence, id=number), now, world.process.book.receivers)
        except StoreError:  # whoever asked for it is told so
            return
        world.auditor.promises.silences.append(silence)

    def _somebody_has_it(self) -> None:
        world, by = self._world, self._world.luck.choice(("bob", "eve"))
        still = [row for row in world.auditor.look.incidents.values() if row["closed_at"] is None]
        if not still:
            return
        incident = world.luck.choice(still)
        try:
            with world.database.write() as transaction:
                acted = acting.acknowledge(transaction, incident["id"], by, world.clock.now(), world.process.book.receivers)
        except StoreError:
            return
        if acted.changed:
            world.auditor.promises.acknowledged[incident["id"]] = (by, incident["worst"], incident["opened_at"])

    def _somebody_sets_the_clock(self) -> None:
        world = self._world
        by = -self._wrong or world.luck.choice((-HOUR, -20 * MINUTE, HOUR, 26 * HOUR))
        self._wrong += by
        world.auditor.set_back += by < 0
        world.clock.set_wall(world.clock.now() + by)

    def _others_call(self) -> None:
        """Somebody evaluates rules on the command line: the budget is one."""
        world = self._world
        rule = next(iter(world.process.book.rules.values()), None)
        source = world.process.source
        for _ in range(world.luck.randint(1, 20) if rule else 0):
            try:
                slot = source.budget.borrow(PATIENCE, background=True)
            except StoreError:
                return
            if rule is None or not isinstance(slot, Slot):
                return
            with suppress(ReportingError, StoreError):
                source.call(alone(needs_of(rule, world.clock.now()).selection).query(), slot)

    def _the_machine_sleeps(self) -> None:
        self._world.clock.advance(self._world.luck.choice((2, 11, 90)) * MINUTE)


def _told(rule: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same, with receivers for its own levels only."""
    notify = rule["notify"]
    if not isinstance(notify, Mapping):
        return rule
    return {**rule, "notify": {level: names for level, names in notify.items() if level in rule}}
