"""What people are told about alertd itself: wrong rule files, rules that get no answers, parts that have stopped.

What `/readyz` says is told as well once it has lasted, and when it is over: `find_troubles` says what it adds up to,
`alertd.notices.lasting` what is to be told of it, and `Complaints` does so.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

import structlog

from alertd.channels.base import Access
from alertd.clock import MINUTE, Clock, Duration, Instant
from alertd.errors import AlertdError, StoreDown, StoreError
from alertd.evaluation import ledger
from alertd.evaluation.failing import FORECAST, tell_failing
from alertd.facts import Level
from alertd.notices.incidents import last_incident, save_incident
from alertd.notices.lasting import Decision, Moment, Past, Spell, decide
from alertd.notices.markup import utc
from alertd.notices.own import Trouble, guardians, open_causes, report_mended, report_past, report_trouble
from alertd.notices.unsent import broken, taken
from alertd.planning.forecast import Forecast
from alertd.reloading import Rejected
from alertd.rulebook.findings import Finding, mask
from alertd.rulebook.rule import Receiver, Rule, Rulebook
from alertd.store.database import Database
from alertd.store.rescue import Loss
from alertd.watching import Lacks
from alertd.watching.saying import unfit
from alertd.web.health import Check

_log = structlog.get_logger()

RULEBOOK = "alertd-rulebook"
PARTS = "alertd-parts"  # parts that have stopped
STORE = "alertd-store"  # nothing can be written
LOST = "alertd-store-lost"
BUTTONS = "alertd-buttons"
HEARTBEAT = "alertd-heartbeat"
RECEIVER = "alertd-receiver/"  # one receiver, whose name follows

# What others mend, and what is of less use, is given more time.
_PATIENCE: Mapping[str, Duration] = {BUTTONS: 15 * MINUTE, HEARTBEAT: 15 * MINUTE}

_OURS = frozenset({FORECAST, PARTS, STORE, BUTTONS, HEARTBEAT})
_NAMED = 5  # rules that a message names
_PARTS = ("evaluation", "sending", "threads", "reload", "clock")


@dataclass(frozen=True)
class Sight:
    """What a look at alertd itself has found. `broken`: receivers that did not take what they were sent last, and why."""

    checks: Mapping[str, Check]
    lacks: Lacks = field(default_factory=Lacks)
    broken: Mapping[str, str] = field(default_factory=dict)
    forecast: Forecast | None = None


@dataclass
class Complaints:
    """Tells people of what is wrong with alertd itself, once it has lasted, and of its end. Used by one thread."""

    database: Database
    clock: Clock
    _spells: Mapping[str, Spell] = field(default_factory=dict)

    def look(self, sight: Sight, book: Rulebook) -> bool:
        """Take what is seen now into account; call it once a minute. Whether there is something to send."""
        now = Moment(self.clock.now(), self.clock.uptime())
        if not sight.checks["store"].ok:  # nobody can be told, and what else is wrong follows from it
            mine = {cause: spell for cause, spell in self._spells.items() if cause == STORE}
            self._spells = {**self._spells, **decide(mine, _unwritten(sight), (), now).spells}
            return False
        try:
            with self.database.read() as transaction:
                told = {cause for cause in open_causes(transaction) if cause in _OURS or cause.startswith(RECEIVER)}
                seen = replace(sight, broken=broken(transaction, now.at))
            decision = decide(self._spells, find_troubles(seen, book), told, now, _PATIENCE)
            news = self._tell(decision, book, now.at) if decision.wrong or decision.over or decision.past else False
        except StoreError as problem:  # the spells stay as they are, and the next look tells it
            _log.error("nobody told of trouble with alertd itself, tried again soon", error=str(problem))
            return False
        self._spells = decision.spells
        return news

    def _tell(self, decision: Decision, book: Rulebook, at: Instant) -> bool:
        with self.database.write() as transaction:
            kinds = [report_trouble(transaction, each, book, at) for each in decision.wrong]
            works = taken(transaction, at)
            kinds += [report_mended(transaction, cause, book, at, _why_over(cause, book, works)) for cause in decision.over]
            for past in decision.past:
                report_past(transaction, _of_the_past(past, at), past.until, book, at)
        return bool(decision.past) or any(kinds)


def find_troubles(sight: Sight, book: Rulebook) -> dict[str, Trouble]:
    """What is wrong that people should be told of, by its cause."""
    found = [*_stopped(sight.checks, book), *_unheard(sight.checks), *_unfit(sight.forecast, book), *_receivers(sight, book)]
    return {each.cause: each for each in found}


def tell_rejected(database: Database, rejected: Rejected, book: Rulebook, at: Instant) -> bool:
    """Tell whom it concerns that the newest rule files are wrong, once. Whether there is something to send; StoreError."""
    running = f"the rules of commit {book.revision}" if book.revision else "the last good rules"
    text = f"{mask(rejected.message)}. Until that is mended {running} run on."
    trouble = Trouble(RULEBOOK, "The newest rule files are wrong", text, _concerned(rejected, book))
    with database.write() as transaction:
        return report_trouble(transaction, trouble, book, at) is not None


def tell_loaded(database: Database, book: Rulebook, at: Instant) -> bool:
    """Tell that the rule files are fine again, if anybody was told that they are not. StoreError."""
    with database.write() as transaction:
        return report_mended(transaction, RULEBOOK, book, at) is not None


def tell_unanswered(database: Database, book: Rulebook, at: Instant) -> bool:
    """Tell of rules that have had no evidence for long, and of the end of that. Whether there is something to send."""
    try:
        with database.read() as transaction:  # after every tick: nearly always there is nothing to write
            if not ledger.load_failing(transaction) and not open_causes(transaction):
                return False
        with database.write() as transaction:
            return bool(tell_failing(transaction, ledger.load_failing(transaction), book, at))
    except StoreDown:  # the daemon says so
        return False
    except StoreError as problem:
        _log.error("nobody told of rules without evidence", error=str(problem))
        return False


def tell_lost(database: Database, loss: Loss, book: Rulebook, at: Instant) -> None:
    """Tell that the store was lost and another begun, once: nothing follows, so its incident ends with it. StoreError."""
    trouble = Trouble(LOST, "alertd has lost its store", _lost(loss), level=Level.CRITICAL)
    with database.write() as transaction:
        report_trouble(transaction, trouble, book, at)
        incident = last_incident(transaction, LOST)
        if incident is not None:
            save_incident(transaction, replace(incident, closed_at=at))


def _lost(loss: Loss) -> str:
    where = f"The old file is kept as {loss.kept.name} in its folder. " if loss.kept else ""
    return (
        f"The file with alertd's state {loss.reason}. {where}alertd goes on with a new one: what goes on now is told again as "
        "if it were new, acknowledgements and silences are gone, and so is what was to be sent and the history of all rules. "
        "To have them back stop alertd, put a backup in the place of the file, and start it again; silence anew what is to be "
        "quiet. The first calls are made 90 s after the start, so that the API's limit holds."
    )


def find_lacks(book: Rulebook, access: Access) -> Lacks:
    """What receivers lack now, such as a secret that is not set, and which fallback works."""
    lacks = {name: lack for name, receiver in book.receivers.items() if (lack := _lack(receiver, access))}
    return Lacks(lacks, None if book.fallback in lacks else book.fallback)


def warn_about_receivers(lacks: Lacks) -> None:
    """Say in the log what receivers lack."""
    for name, text in lacks.texts.items():
        _log.error("receiver cannot be used", receiver=name, error=text)


def _lack(receiver: Receiver, access: Access) -> str | None:
    """What the deployment still has to set for a receiver; None when it is ready."""
    try:
        return receiver.channel.missing(access)
    except AlertdError as problem:
        return str(problem)
    except Exception as problem:  # noqa: BLE001 - what one receiver's secret does must cost nobody else (I7); it is not shown
        return f"its settings cannot be read ({type(problem).__name__}); check the secrets that it names"


def _unwritten(sight: Sight) -> dict[str, Trouble]:
    """A store that takes nothing; in the words in which it will be told."""
    error = sight.checks["store"].text.partition(": ")[2] or sight.checks["store"].text
    text = f"Nothing could be written into the store: {error}. What fired stayed, nothing new was told, messages waited."
    return {STORE: Trouble(STORE, "The store could not be written", text)}


def _of_the_past(past: Past, at: Instant) -> Trouble:
    since = past.trouble.since if past.trouble.since is not None else past.until
    lasted = f"This lasted from {utc(since, at)} to {utc(past.until, at)} and is over; nobody could be told before."
    return replace(past.trouble, text=f"{past.trouble.text} {lasted}")


def _stopped(checks: Mapping[str, Check], book: Rulebook) -> list[Trouble]:
    wrong = [checks[part].text for part in _PARTS if part in checks and not checks[part].ok]
    text = " ".join(_sentence(each) for each in wrong)
    return [Trouble(PARTS, "A part of alertd has stopped", text, level=_weight(book))] if wrong else []


def _unheard(checks: Mapping[str, Check]) -> list[Trouble]:
    titles = {"buttons": (BUTTONS, "Buttons in Slack are not heard"), "heartbeat": (HEARTBEAT, "The sign of life is not taken")}
    wrong = {part: checks[part].text for part in titles if part in checks and not checks[part].ok}
    return [Trouble(*titles[part], _sentence(text)) for part, text in wrong.items()]


def _unfit(found: Forecast | None, book: Rulebook) -> list[Trouble]:
    if found is None or found.fits:
        return []
    late = tuple(dict.fromkeys(rule for each in found.late for rule in each.rules))
    critical = any(book.rules[rule].worst is Level.CRITICAL for rule in late if rule in book.rules)
    text = f"{_sentence(unfit(found))} Those that are late: {', '.join(late[:_NAMED])}{_more(len(late) - _NAMED)}."
    return [Trouble(FORECAST, "The rules need more calls than there are", text, level=_level(critical=critical))]


def _receivers(sight: Sight, book: Rulebook) -> list[Trouble]:
    """Whom nothing reaches, told to somebody else: nobody where there is nobody else."""
    why = {name: f": {error}" if error else "; the log says why" for name, error in sight.broken.items()}
    out = {name: f"did not take its last message{text}" for name, text in why.items()}
    out |= {name: f"cannot be used: {lack}" for name, lack in sight.lacks.receivers.items()}
    fallback = book.fallback if book.fallback not in out else None
    then = f"What it should be told goes to {fallback} instead." if fallback else "What it should be told reaches nobody."
    over = "This is over once it has taken a message."
    to = _others(out, book)
    troubled = [name for name in sorted(_used(book) & out.keys()) if to]
    texts = {
        name: " ".join(
            (_sentence(f"the receiver {name} {out[name]}"), then, *([] if name in sight.lacks.receivers else [over]))
        )
        for name in troubled
    }
    return [
        Trouble(RECEIVER + name, f"{name} gets no messages", texts[name], to, _level(critical=not fallback))
        for name in troubled
    ]


def _others(out: Collection[str], book: Rulebook) -> tuple[str, ...]:
    """Who is told of receivers that nothing reaches: who is told of alertd otherwise, or if that is one of them the rest."""
    usual = tuple(name for name in guardians(book) if name not in out)
    return usual or tuple(name for name in sorted(_used(book)) if name not in out)


def _used(book: Rulebook) -> set[str]:
    """The receivers that are told anything."""
    heard = {name for rule in book.rules.values() for level in rule.notify for name in book.told(rule, level)}
    escalated = {name for rule in book.rules.values() if rule.escalate for name in rule.escalate.to}
    return heard | escalated | ({book.fallback} if book.fallback else set())


def _why_over(cause: str, book: Rulebook, works: Collection[str]) -> str:
    """How it ended, where it was not simply mended. `works` are receivers that have taken a message of late."""
    name = cause.removeprefix(RECEIVER)
    if name == cause or name in works:
        return ""
    return (
        "nothing was sent there since, and no reason is left why it should fail"
        if name in _used(book)
        else "nobody is told there"
    )


def _weight(book: Rulebook) -> Level:
    return _level(critical=any(rule.worst is Level.CRITICAL for rule in book.rules.values()))


def _level(*, critical: bool) -> Level:
    return Level.CRITICAL if critical else Level.WARNING


def _sentence(text: str) -> str:
    words = text.strip().rstrip(".")
    return f"{words[:1].upper()}{words[1:]}."


def _more(count: int) -> str:
    return f" and {count} more" if count > 0 else ""


def _concerned(rejected: Rejected, book: Rulebook) -> tuple[str, ...]:
    """Who hears of the rules that are wrong, as far as they run in an earlier form; nobody where that is not known."""
    wrong = [each for each in rejected.findings if isinstance(each, Finding) and each.severity == "error"]
    rules = [book.rules[each.rule] for each in wrong if each.rule and each.rule in book.rules]
    return tuple(dict.fromkeys(_hearing(rules, book)))


def _hearing(rules: Iterable[Rule], book: Rulebook) -> Iterable[str]:
    return (name for rule in rules for name in book.told(rule, rule.worst))
