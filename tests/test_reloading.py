"""When rule files replace the rulebook that runs, and when they do not."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from alertd.clock import MINUTE, Duration
from alertd.errors import RulebookError, StoreError
from alertd.evaluation.tick import retire
from alertd.facts import State
from alertd.reloading import EVERY, SETTLED, Loaded, Rejected, Reloading, newest
from alertd.rulebook.keeping import keep, load_kept
from alertd.rulebook.rule import Rulebook
from alertd.store.database import Database, open_database
from alertd.testing import FakeClock
from tests.evaluation.world import World
from tests.rulebook.folders import RECEIVERS, commit, git, needs_git, rule, write

BROKEN = rule("one").replace("window", "widnow")
COMMITS = ("a" * 40, "b" * 40)


@dataclass
class Desk:
    """A folder, and what becomes of it."""

    folder: Path
    database: Database
    clock: FakeClock = field(default_factory=FakeClock)
    taken: list[Rulebook] = field(default_factory=list)
    heard: list[Rejected | None] = field(default_factory=list)  # what was told; None: it is over
    failures: list[Exception] = field(default_factory=list)  # raised by the next one who takes or is told
    meanwhile: Callable[[], object] = lambda: None  # happens during a pause

    def __post_init__(self) -> None:
        self.reloading = self.another()

    def another(self) -> Reloading:
        """A process that has just been started."""
        return Reloading(
            self.folder,
            self.database,
            self.clock,
            take=self.take,
            told=self.hear,
            mended=self.relieved,
        )

    def take(self, loaded: Loaded) -> None:
        if self.failures:
            raise self.failures.pop(0)
        with self.database.write() as transaction:
            keep(transaction, loaded.book.revision, loaded.files, self.clock.now())
        self.taken.append(loaded.book)

    def hear(self, rejected: Rejected) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.heard.append(rejected)

    def relieved(self) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.heard.append(None)

    def pause(self, wait: Duration) -> None:
        self.clock.advance(wait)
        self.meanwhile()

    def start(self) -> Rulebook:
        """Begin as a daemon does."""
        self.reloading = self.another()
        loaded = self.reloading.begin(self.pause)
        self.take(loaded)
        self.reloading.tell()
        return loaded.book

    def look(self) -> Rulebook:
        """Look as often as a daemon would for half a minute; the rulebook that runs then."""
        ends = self.clock.now() + 3 * EVERY
        while self.clock.now() < ends:
            self.clock.advance(self.reloading.look())
        return self.taken[-1]


@pytest.fixture
def database() -> Iterator[Database]:
    opened = open_database("sqlite://")
    yield opened
    opened.close()


@pytest.fixture
def desk(tmp_path: Path, database: Database) -> Desk:
    """A daemon that runs the rule `one`."""
    found = Desk(write(tmp_path / "rules", receivers=RECEIVERS, one=rule("one")), database)
    found.start()
    return found


def events(logged: Iterable[Mapping[str, object]]) -> list[object]:
    return [each["event"] for each in logged]


def test_files_that_do_not_change_are_not_loaded_again(desk: Desk) -> None:
    with capture_logs() as logged:
        desk.look()
    assert (len(desk.taken), logged) == (1, [])


def test_changed_files_are_taken_and_kept(desk: Desk) -> None:
    write(desk.folder, one=rule("uno"), two=rule("two"))
    with capture_logs() as logged:
        assert set(desk.look().rules) == {"uno", "two"}
    assert events(logged) == ["rule files loaded"]
    assert len(desk.taken) == 2
    kept = load_kept(desk.database)
    assert kept is not None
    assert kept.files == {"receivers.yaml": RECEIVERS, "one.yaml": rule("uno"), "two.yaml": rule("two")}


def test_what_is_kept_has_the_time_when_it_was_first_taken(desk: Desk) -> None:
    before = load_kept(desk.database)
    desk.clock.advance(EVERY)
    desk.start()
    assert load_kept(desk.database) == before
    write(desk.folder, one=rule("uno"))
    desk.look()
    after = load_kept(desk.database)
    assert before
    assert after
    assert after.taken_at > before.taken_at


def test_whoever_asks_gets_an_answer_in_the_log(desk: Desk) -> None:
    with capture_logs() as logged:
        desk.reloading.look(asked=True)
        write(desk.folder, one=BROKEN)
        desk.look()
        desk.reloading.look(asked=True)
    assert events(logged) == [
        "rule files have not changed",
        "rule files not loaded, the last good ones stay",
        "rule files are still wrong, the last good ones stay",
    ]


def test_broken_files_change_nothing_and_are_told_once(desk: Desk) -> None:
    write(desk.folder, one=BROKEN)
    with capture_logs() as logged:
        desk.look()
        desk.look()
    assert events(logged) == ["rule files not loaded, the last good ones stay"]
    (rejected,) = desk.heard
    assert rejected is not None
    assert '"widnow" is not a key of a rule' in rejected.message
    assert len(rejected.findings) == 1
    assert len(desk.taken) == 1


def test_another_mistake_is_told_again_and_the_same_one_once_more_after_it_was_mended(desk: Desk) -> None:
    for text in (BROKEN, BROKEN + "# and a comment", rule("one"), BROKEN):
        write(desk.folder, one=text)
        desk.look()
    digests = [each and each.digest for each in desk.heard]
    assert digests[2] is None
    assert digests[0] == digests[3] != digests[1]


@pytest.mark.parametrize("mended", ["as before", "by something new"])
def test_mended_files_run_and_it_is_told(desk: Desk, mended: str) -> None:
    write(desk.folder, one=BROKEN)
    desk.look()
    write(desk.folder, one=rule("one" if mended == "as before" else "uno"))
    with capture_logs() as logged:
        book = desk.look()
    assert set(book.rules) == {"one" if mended == "as before" else "uno"}
    assert desk.heard[1:] == [None]
    assert events(logged)[-1] == "rule files are good again"


def test_a_telling_that_fails_is_repeated(desk: Desk) -> None:
    write(desk.folder, one=BROKEN)
    desk.failures = [StoreError("the store cannot be used: disk full"), ValueError("a mistake")]
    desk.look()
    assert len(desk.heard) == 1


def test_telling_that_they_are_good_again_is_repeated_when_it_fails(desk: Desk) -> None:
    write(desk.folder, one=BROKEN)
    desk.look()
    write(desk.folder, one=rule("one"))
    desk.failures = [StoreError("the store cannot be used: disk full")] * 2
    desk.look()
    assert desk.heard[1:] == [None]


def test_what_could_not_be_told_is_not_told_to_be_over(desk: Desk) -> None:
    write(desk.folder, one=BROKEN)
    desk.failures = [StoreError("the store cannot be used: disk full")] * 100
    desk.look()
    write(desk.folder, one=rule("one"))
    desk.look()
    assert desk.heard == []


def test_a_rulebook_that_cannot_be_taken_is_tried_again_and_logged_once(desk: Desk) -> None:
    write(desk.folder, one=rule("uno"))
    desk.failures = [StoreError("the store cannot be used: disk full")] * 2
    with capture_logs() as logged:
        assert set(desk.look().rules) == {"uno"}
    assert events(logged) == ["rule files not taken, tried again soon", "rule files loaded"]
    assert desk.heard == []


@pytest.mark.parametrize("how", ["emptied", "gone", "only receivers", "only comments"])
def test_a_folder_without_rules_is_not_taken_for_no_rules(desk: Desk, how: str) -> None:
    if how == "gone":
        shutil.rmtree(desk.folder)
    elif how == "only comments":
        write(desk.folder, one="# rules:\n")
    else:
        for file in desk.folder.iterdir():
            if how == "emptied" or file.name == "one.yaml":
                file.unlink()
    assert set(desk.look().rules) == {"one"}
    (rejected,) = desk.heard
    assert rejected is not None
    assert "there is no" in rejected.message or 'says so: "rules: []"' in rejected.message


def test_no_rules_are_taken_where_a_file_says_so(desk: Desk) -> None:
    write(desk.folder, one="rules: []\n")
    assert desk.look().rules == {}
    assert desk.heard == []


def test_files_that_are_still_being_written_are_not_believed(desk: Desk) -> None:
    """A checkout that takes five seconds passes through states of which each would be valid."""
    begun = desk.clock.now()
    for number in range(20):
        write(desk.folder, **{f"more{number}": rule(f"more-{number}")})
        assert desk.reloading.look() == SETTLED
        desk.clock.advance(SETTLED // 4)
    assert desk.clock.now() - begun > 4 * SETTLED
    assert len(desk.taken) == 1
    assert len(desk.look().rules) == 21
    assert len(desk.taken) == 2


def test_signals_one_after_the_other_do_not_make_files_settled(desk: Desk) -> None:
    write(desk.folder, one=rule("uno"))
    for _ in range(50):
        desk.reloading.look(asked=True)
    assert len(desk.taken) == 1


def test_a_mounted_config_map_is_swapped_as_a_whole(tmp_path: Path, database: Database) -> None:
    folder = tmp_path / "rules"
    write(folder / "..first", receivers=RECEIVERS, one=rule("one"), two=rule("two"))
    (folder / "..data").symlink_to("..first")
    for name in ("receivers.yaml", "one.yaml", "two.yaml"):
        (folder / name).symlink_to(f"..data/{name}")
    desk = Desk(folder, database)
    desk.start()
    write(folder / "..second", receivers=RECEIVERS, one=rule("uno"), two=rule("due"))
    (folder / "..data_tmp").symlink_to("..second")
    (folder / "..data_tmp").rename(folder / "..data")
    shutil.rmtree(folder / "..first")
    assert set(desk.look().rules) == {"uno", "due"}


def test_git_sync_swaps_the_folder_and_its_name_is_the_revision(tmp_path: Path, database: Database) -> None:
    for name, text in zip(COMMITS, (rule("one"), rule("uno")), strict=True):
        write(tmp_path / ".worktrees" / name, receivers=RECEIVERS, one=text)
    link = tmp_path / "current"
    link.symlink_to(f".worktrees/{COMMITS[0]}")
    desk = Desk(link, database)
    assert desk.start().revision == "a" * 12
    (tmp_path / "next").symlink_to(f".worktrees/{COMMITS[1]}")
    (tmp_path / "next").rename(link)
    book = desk.look()
    assert (set(book.rules), book.revision) == ({"uno"}, "b" * 12)
    assert desk.heard == []


@needs_git
def test_another_commit_of_the_same_rules_is_another_revision_of_the_same_rules(desk: Desk) -> None:
    git(desk.folder, "init", "-q")
    before = desk.taken[-1]
    for options in ((), ("--allow-empty",)):
        made = commit(desk.folder, *options)
        with capture_logs() as logged:
            book = desk.look()
        assert book.revision == made[:12]
        assert events(logged) == ["rule files are the same at another commit"]
        assert book.rules["one"] is before.rules["one"]
    kept = load_kept(desk.database)
    assert kept is not None
    assert kept.revision == book.revision


@needs_git
def test_what_was_rejected_says_of_which_commit_it_is(desk: Desk) -> None:
    git(desk.folder, "init", "-q")
    write(desk.folder, one=BROKEN)
    made = commit(desk.folder)
    desk.look()
    write(desk.folder, one=BROKEN + "# by hand")
    desk.look()
    (desk.folder / "one.yaml").unlink()
    made_without = commit(desk.folder)
    desk.look()
    assert [each and each.revision for each in desk.heard] == [made[:12], f"{made[:12]}+", made_without[:12]]


def test_after_a_restart_with_broken_files_the_last_good_ones_run(desk: Desk) -> None:
    write(desk.folder, two=rule("two"))
    good = desk.look()
    write(desk.folder, one=BROKEN)
    with capture_logs() as logged:
        book = desk.start()
    assert book.rules == good.rules
    assert logged[0]["event"] == "rule files not loaded, the last good ones run, as the store has them"
    assert '"widnow" is not a key' in str(logged[0]["error"])
    assert len(desk.heard) == 1
    desk.look()
    write(desk.folder, one=rule("uno"))
    assert set(desk.look().rules) == {"uno", "two"}
    assert desk.heard[1:] == [None]


def test_after_a_restart_files_that_are_put_back_are_good_again(desk: Desk) -> None:
    write(desk.folder, one=BROKEN)
    desk.start()
    write(desk.folder, one=rule("one"))
    with capture_logs() as logged:
        desk.look()
    assert events(logged) == ["rule files are good again"]


def test_without_a_good_one_in_the_store_wrong_files_keep_it_from_starting(tmp_path: Path, database: Database) -> None:
    desk = Desk(write(tmp_path / "rules", receivers=RECEIVERS, one=BROKEN), database)
    with pytest.raises(RulebookError, match="widnow") as caught:
        desk.start()
    assert caught.value.findings
    assert load_kept(database) is None


def test_kept_files_that_cannot_be_loaded_any_more_do_not_hide_what_is_wrong(desk: Desk) -> None:
    """As after an update that reads the rule language more strictly."""
    with desk.database.write() as transaction:
        keep(transaction, None, {"one.yaml": "rules: {}"}, 0)
    write(desk.folder, one=BROKEN)
    with pytest.raises(RulebookError, match="widnow"):
        desk.start()


def test_a_start_waits_for_files_that_are_being_written(desk: Desk) -> None:
    write(desk.folder, one="rules: [")
    desk.meanwhile = lambda: write(desk.folder, one=rule("uno"))
    assert set(desk.start().rules) == {"uno"}
    assert desk.heard == []


def test_a_start_with_files_that_never_stop_changing_begins_all_the_same(desk: Desk) -> None:
    luck = random.Random(1)
    write(desk.folder, one=rule("uno"))
    desk.meanwhile = lambda: write(desk.folder, one=rule(f"one-{luck.random() * 1e9:.0f}"))
    assert len(desk.start().rules) == 1


def test_whoever_looks_from_outside_sees_whether_the_files_run(desk: Desk) -> None:
    kept = load_kept(desk.database)
    assert newest(desk.folder, kept) == (True, "the newest rule files run")
    write(desk.folder, one=rule("uno"))
    assert newest(desk.folder, kept)[1].startswith("there are newer rule files")
    write(desk.folder, one=BROKEN)
    good, text = newest(desk.folder, kept)
    assert not good
    assert '"widnow" is not a key' in text
    good, text = newest(desk.folder / "nowhere", None)
    assert not good
    assert text.startswith("the rule files are wrong: there is no folder or file ")


HELD = """\
rules:
  - id: slow
    title: {title}
    every: 5m
    window: 1h
    delay: 0s
    measure: {{median: cqlScore}}
    warning: {{above: {limit}}}
    for: 10m
    notify: {to}
"""


def test_a_timer_goes_on_when_texts_receivers_and_limits_change_and_starts_anew_with_the_question(desk: Desk) -> None:
    world = World.of(desk.database)
    write(desk.folder, receivers=RECEIVERS + "  b: {email: {to: [b@example.com]}}\n")

    def held(text: str) -> tuple[State, Duration]:
        write(desk.folder, one=text)
        world.book = desk.look()
        with desk.database.write() as transaction:
            assert retire(transaction, world.book, world.clock.now()) == []
        world.add(9)
        world.check(5 * MINUTE)
        (alert,) = world.alerts
        return alert.state, alert.held

    good = HELD.format(title="Slow", limit=5, to="a")
    assert held(good) == (State.PENDING, 0)
    assert held(HELD.format(title="Too slow", limit=6, to="b")) == (State.PENDING, 5 * MINUTE)
    assert held(HELD.format(title="Far too slow", limit=7, to="a").replace("1h", "2h")) == (State.PENDING, 0)


def test_what_an_earlier_process_may_have_told_is_told_to_be_over_although_this_one_could_not_tell(desk: Desk) -> None:
    write(desk.folder, one=BROKEN)
    desk.look()
    desk.failures = [StoreError("the store cannot be used: disk full")] * 2
    desk.reloading = desk.another()
    desk.reloading.begin(desk.pause)
    desk.reloading.look()
    write(desk.folder, one=rule("one"))
    desk.look()
    assert desk.heard[1:] == [None]


def test_an_end_that_could_not_be_told_is_not_forgotten_when_the_files_are_wrong_once_more(desk: Desk) -> None:
    write(desk.folder, one=BROKEN)
    desk.look()
    full = StoreError("the store cannot be used: disk full")
    desk.failures = [full] * 100
    for text in (rule("one"), BROKEN, rule("one")):
        write(desk.folder, one=text)
        desk.look()
    desk.failures = []
    desk.look()
    assert desk.heard[1:] == [None]
