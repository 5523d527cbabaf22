"""The rules folder and the rulebook that runs: what is new and valid is taken, what is not valid changes nothing (I8).

Files are only believed when two looks some time apart find the same: a checkout that is under way is neither the old rulebook
nor the new one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import structlog

from alertd.clock import SECOND, Clock, Duration, iso
from alertd.errors import AlertdError, RulebookError
from alertd.rulebook.files import Texts, gather, read, recall
from alertd.rulebook.keeping import Kept, load_kept
from alertd.rulebook.loader import Memory, build
from alertd.rulebook.revision import find_commit, find_revision
from alertd.rulebook.rule import Rulebook
from alertd.store.database import Database

_log = structlog.get_logger()

# How often the folder is looked at.
EVERY: Duration = 10 * SECOND

# Files that have been the same for so long are not being written any more.
SETTLED: Duration = SECOND

# Looks that a start spends on files that change all the time; whatever it then begins with is replaced soon.
_PATIENCE = 10


@dataclass(frozen=True)
class Loaded:
    """A rulebook, and the texts by name that it was made of."""

    book: Rulebook
    files: Mapping[str, str]


@dataclass(frozen=True)
class Rejected:
    """Rule files that cannot be loaded. `digest` is the same for the same content, also after a restart."""

    revision: str | None  # of these files; what runs has another
    message: str
    findings: tuple[object, ...]  # of type Finding; none where there is nothing to read
    digest: str


@dataclass(frozen=True)
class _Sight:
    """What the folder had at one moment: texts, or the reason why there are none."""

    commit: str | None
    texts: Texts | None
    problem: RulebookError | None = None

    @property
    def digest(self) -> str:
        return self.texts.digest if self.texts else hashlib.sha256(str(self.problem).encode()).hexdigest()

    @property
    def key(self) -> tuple[str | None, str]:
        """Two looks that agree in it have seen the same."""
        return self.commit, self.digest


class Reloading:
    """Keeps the rulebook up to date with its folder. Used by one thread.

    `take` makes a rulebook the one that runs; if it raises, the files are tried again at the next look. `told` is called once
    for each new content that is wrong, and `mended` once when what was told is over; each again at the next look if it raises.
    """

    def __init__(
        self,
        folder: Path,
        database: Database,
        clock: Clock,
        *,
        take: Callable[[Loaded], None],
        told: Callable[[Rejected], None] = lambda _rejected: None,
        mended: Callable[[], None] = lambda: None,
    ) -> None:
        self._folder, self._database, self._clock = folder, database, clock
        self._take, self._told, self._mended = take, told, mended
        self._memory = Memory()
        self._running: tuple[str | None, str] | None = None
        self._revision: str | None = None
        self._sighted: tuple[str | None, str] | None = None
        self._since = 0  # on the clock of uptime: when that was seen first
        self._rejected: Rejected | None = None
        self._to_tell = self._to_clear = False
        self._known = False  # whether people may have been told that files are wrong
        self._not_taken: str | None = None

    def begin(self, pause: Callable[[Duration], None]) -> Loaded:
        """What to start with: the folder's rulebook, or the last good one where that is wrong.

        RulebookError if there is neither. What is wrong is told by the first `tell` or `look`.
        """
        kept = load_kept(self._database)
        sight = self._first(kept, pause)
        try:
            loaded = self._load(sight)
        except RulebookError as problem:
            if kept is None:
                raise
            return self._fall_back(kept, sight, problem)
        self._running, self._revision = sight.key, loaded.book.revision
        return loaded

    def look(self, *, asked: bool = False) -> Duration:
        """Look at the folder and act on it; the time until the next look. Somebody who asked gets an answer in the log."""
        self.tell()
        sight = _look_at(self._folder)
        if sight.key == self._running:
            self._back_to_good()
            if asked:
                _log.info("rule files have not changed")
        elif self._rejected and sight.digest == self._rejected.digest:
            if asked:
                _log.error("rule files are still wrong, the last good ones stay", error=self._rejected.message)
        elif not self._is_settled(sight):
            return SETTLED
        else:
            self._act(sight)
        return EVERY

    def tell(self) -> None:
        """Tell of wrong files that have not been told of, and of the end of that."""
        try:
            if self._rejected and self._to_tell:
                self._told(self._rejected)
                self._to_tell, self._to_clear, self._known = False, False, True
            if self._to_clear:
                self._mended()
                self._to_clear = False
        except Exception:  # noqa: BLE001 - telling is not worth the rules that run
            _log.exception("nobody was told how the rule files are, tried again soon")

    def _first(self, kept: Kept | None, pause: Callable[[Duration], None]) -> _Sight:
        """The folder, when it is settled; at once where nothing can be lost by it."""
        sight = _look_at(self._folder)
        if kept is None or recall(kept.files).digest == sight.digest:
            return sight
        for _ in range(_PATIENCE):
            before = sight
            pause(SETTLED)
            sight = _look_at(self._folder)
            if sight.key == before.key:
                break
        return sight

    def _load(self, sight: _Sight) -> Loaded:
        if sight.texts is None:
            raise sight.problem or RulebookError("there are no rule files")
        revision = find_revision(self._folder, sight.commit, sight.texts.files)
        try:
            return Loaded(build(sight.texts, revision, self._memory), sight.texts.files)
        except RulebookError:
            raise
        except Exception as problem:  # noqa: BLE001 - whatever is in a file, the rules that run must go on (I8)
            _log.exception("rule files not read")
            raise _mistake(problem) from None

    def _fall_back(self, kept: Kept, sight: _Sight, problem: RulebookError) -> Loaded:
        texts = recall(kept.files)
        try:
            book = build(texts, kept.revision, self._memory)
        except RulebookError as another:
            _log.error("the last good rule files, kept in the store, cannot be loaded either", error=str(another))
            raise problem from None
        self._running = (None, texts.digest)  # the whole commit is not known: that of the same files is taken over
        self._revision = kept.revision
        self._known = True  # from an earlier process
        self._reject(sight, problem, "rule files not loaded, the last good ones run, as the store has them")
        _log.warning("running rules of earlier", revision=kept.revision, taken_at=iso(kept.taken_at), rules=len(book.rules))
        return Loaded(book, kept.files)

    def _is_settled(self, sight: _Sight) -> bool:
        now = self._clock.uptime()
        if sight.key != self._sighted:
            self._sighted, self._since = sight.key, now
        return now - self._since >= SETTLED

    def _act(self, sight: _Sight) -> None:
        """Take what is new, or keep what runs and say why."""
        try:
            loaded = self._load(sight)
        except RulebookError as problem:
            self._reject(sight, problem, "rule files not loaded, the last good ones stay")
            self.tell()
            return
        try:
            self._take(loaded)
        except Exception as problem:  # noqa: BLE001 - the rules that run go on, and these are tried again
            self._could_not_take(problem)
            return
        before, self._running, self._not_taken = self._running, sight.key, None
        self._say(loaded.book, same=before is not None and before[1] == sight.digest)
        self._back_to_good()

    def _say(self, book: Rulebook, *, same: bool) -> None:
        if not same:
            _log.info("rule files loaded", rules=len(book.rules), revision=book.revision)
        elif book.revision != self._revision:
            _log.info("rule files are the same at another commit", revision=book.revision, before=self._revision)
        self._revision = book.revision

    def _reject(self, sight: _Sight, problem: RulebookError, event: str) -> None:
        revision = find_revision(self._folder, sight.commit, sight.texts.files if sight.texts else None)
        self._rejected = Rejected(revision, str(problem), problem.findings, sight.digest)
        self._to_tell = True
        _log.error(event, error=str(problem), revision=revision)

    def _could_not_take(self, problem: Exception) -> None:
        ours = not isinstance(problem, AlertdError)
        text = str(_mistake(problem) if ours else problem)
        if text != self._not_taken:
            _log.error("rule files not taken, tried again soon", error=text, exc_info=ours)
        self._not_taken = text

    def _back_to_good(self) -> None:
        """The files are those that run."""
        self._sighted = self._not_taken = None
        if self._rejected is None:
            return
        self._rejected, self._to_tell = None, False
        self._to_clear, self._known = self._to_clear or self._known, False
        _log.info("rule files are good again")
        self.tell()


def newest(folder: Path, kept: Kept | None) -> tuple[bool, str]:
    """Whether the files of the folder run or could, in a sentence, for somebody who looks from outside the daemon."""
    sight = _look_at(folder)
    if kept and sight.digest == recall(kept.files).digest:
        return True, "the newest rule files run"
    try:
        if sight.texts is None:
            raise sight.problem or RulebookError("there are no rule files")
        build(sight.texts, None)
    except RulebookError as problem:
        wrong = "the newest rule files are wrong, the last good ones run" if kept else "the rule files are wrong"
        return False, f"{wrong}: {problem}"
    return True, "there are newer rule files, which are taken within seconds by a daemon that runs"


def _look_at(folder: Path) -> _Sight:
    commit = None
    try:
        commit = find_commit(folder)
        return _Sight(commit, read(gather([folder])))
    except RulebookError as problem:
        return _Sight(commit, None, problem)
    except OSError as problem:
        return _Sight(commit, None, RulebookError(f"the folder {folder} cannot be read: {problem.strerror}"))


def _mistake(problem: Exception) -> RulebookError:
    return RulebookError(f"alertd made a mistake with these files ({type(problem).__name__}); its log has the details")
