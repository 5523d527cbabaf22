"""What people are told about alertd itself: rule files that cannot be loaded, rules that get no answers."""

from __future__ import annotations

from collections.abc import Iterable

import structlog

from alertd.channels.base import Access
from alertd.clock import Instant
from alertd.errors import AlertdError, StoreError
from alertd.evaluation import ledger
from alertd.evaluation.failing import tell_failing
from alertd.notices.own import Trouble, open_causes, report_mended, report_trouble
from alertd.reloading import Rejected
from alertd.rulebook.findings import Finding, mask
from alertd.rulebook.rule import Receiver, Rule, Rulebook
from alertd.store.database import Database
from alertd.watching import Lacks

_log = structlog.get_logger()

RULEBOOK = "alertd-rulebook"


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
    except StoreError as problem:
        _log.error("nobody told of rules without evidence", error=str(problem))
        return False


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


def _concerned(rejected: Rejected, book: Rulebook) -> tuple[str, ...]:
    """Who hears of the rules that are wrong, as far as they run in an earlier form; nobody where that is not known."""
    wrong = [each for each in rejected.findings if isinstance(each, Finding) and each.severity == "error"]
    rules = [book.rules[each.rule] for each in wrong if each.rule and each.rule in book.rules]
    return tuple(dict.fromkeys(_hearing(rules, book)))


def _hearing(rules: Iterable[Rule], book: Rulebook) -> Iterable[str]:
    return (name for rule in rules for name in book.told(rule, rule.worst))
