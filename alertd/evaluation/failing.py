"""Rules that have had no evidence for long: what they have in common, and whom it concerns (I7)."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

import sqlalchemy as sa

from alertd.clock import MINUTE, Duration, Instant
from alertd.evaluation.ledger import Checked
from alertd.facts import Evidence, Kind, Level
from alertd.notices.own import Trouble, open_causes, report_mended, report_trouble
from alertd.notices.periods import spell_moment
from alertd.rulebook.rule import Rule, Rulebook

SOURCE = "alertd-source"  # several rules at once
BUDGET = "alertd-budget"  # whatever lacked a call for long
FORECAST = "alertd-forecast"  # that rules will lack calls is known beforehand
RULE = "alertd-rule/"  # one rule, whose id follows

# How long a rule must have failed, and at how many checks in a row, before anybody is told.
PATIENCE: Duration = 15 * MINUTE
CHECKS = 3

_NAMED = 5  # rules of one reason that a message names


def causes(found: Mapping[str, Checked], alone: Collection[str], book: Rulebook, *, together: bool) -> list[Trouble]:
    """What to tell of rules that have failed for long: one trouble for all that share a reason, else the rule's own.

    Reasons are the same if they differ in numbers only. `alone` are rules that were told of by themselves; they stay so for as
    long as they fail. `together`: there is a common trouble already; whatever else fails then belongs to it, since an outage
    changes its words. A rule that only lacks a call (`stale`) is never told of by itself, since that is no fault of its own:
    all of them are one trouble of the budget.
    """
    rest = {name: found[name] for name in sorted(found) if name not in alone}
    groups = _by_reason(rest if together else {name: each for name, each in rest.items() if _own_fault(each)})
    shared = groups if together and len(rest) > 1 else [each for each in groups if len(each) > 1]
    crowd = {each.rule for group in shared for each in group}
    single = sorted({*alone, *(name for name, each in rest.items() if name not in crowd and _own_fault(each))} & found.keys())
    late = [each for each in rest.values() if not _own_fault(each)] if not shared else []
    told = ([_common(shared, book)] if shared else []) + ([_late(late, book)] if late else [])
    return told + [_own(book, found[name]) for name in single]


def tell_failing(transaction: sa.Connection, checked: Mapping[str, Checked], book: Rulebook, at: Instant) -> list[Kind]:
    """Tell of rules that have failed for long, once, and of the end of that. Returns the kinds of notices that came of it.

    `checked` is the last check of every rule that failed at it; others may be there too. Calling it again with the same
    changes nothing.
    """
    known = open_causes(transaction)
    found = {name: each for name, each in checked.items() if name in book.rules and _for_long(book.rules[name], each)}
    told = {cause.removeprefix(RULE) for cause in known if cause.startswith(RULE)}
    alone = {name for name in told if name in book.rules and name in checked and checked[name].failing_since is not None}
    troubles = causes(found, alone, book, together=SOURCE in known)
    if FORECAST in known and BUDGET not in known:  # people know already, and what to do about it
        troubles = [each for each in troubles if each.cause != BUDGET]
    kinds = [_mend(transaction, name, book, at) for name in sorted(told - alone)]
    over = {SOURCE, BUDGET} & known - {each.cause for each in troubles}
    kinds += [report_mended(transaction, cause, book, at) for cause in sorted(over)]
    kinds += [report_trouble(transaction, each, book, at) for each in troubles]
    return [kind for kind in kinds if kind]


def _mend(transaction: sa.Connection, rule: str, book: Rulebook, at: Instant) -> Kind | None:
    reason = "" if rule in book.rules else "the rule was removed"
    return report_mended(transaction, RULE + rule, book, at, reason)


def _for_long(rule: Rule, checked: Checked) -> bool:
    """Whether nobody has known anything of a rule for long. A report is left out: one that fails says so itself."""
    if rule.report or checked.failing_since is None:
        return False
    return checked.as_of - checked.failing_since >= max(PATIENCE, (CHECKS - 1) * rule.every)


def _own_fault(checked: Checked) -> bool:
    return checked.evidence is Evidence.ERROR


def _by_reason(found: Mapping[str, Checked]) -> list[list[Checked]]:
    """Checks with the same reason, the most frequent first; numbers do not count ("again in 34 s")."""
    reasons = defaultdict[str, list[Checked]](list)
    for each in found.values():
        reasons[re.sub(r"\d+", "", each.reason)].append(each)
    return sorted(reasons.values(), key=len, reverse=True)


def _own(book: Rulebook, checked: Checked) -> Trouble:
    rule = book.rules[checked.rule]
    began = checked.failing_since if checked.failing_since is not None else checked.as_of
    since = spell_moment(began, checked.as_of, rule.timezone)
    text = (
        f"The rule {rule.id} has had no complete answer since {since}, so nothing changes for it: what fires stays, and "
        f"nothing new is told. {_sentence(checked.reason)}"
    )
    # A rule that is broken is a warning, however bad that may be which it looks for.
    to = book.told(rule, Level.WARNING) or book.told(rule, rule.worst)
    return Trouble(RULE + rule.id, f"{rule.title}: this rule cannot be judged", text, to)


def _common(groups: Sequence[Sequence[Checked]], book: Rulebook) -> Trouble:
    rules = [book.rules[each.rule] for group in groups for each in group]
    critical = any(rule.worst is Level.CRITICAL for rule in rules)
    reasons = " ".join(f"{_names(group)}: {group[0].reason.strip().rstrip('.')}." for group in groups)
    text = (
        f"{len(rules)} of {len(book.rules)} rules get no complete answer, so nothing changes for them: what fires stays, and "
        f"nothing new is told. {reasons}"
    )
    return Trouble(SOURCE, "alertd gets no answers", text, level=Level.CRITICAL if critical else Level.WARNING)


def _late(late: Sequence[Checked], book: Rulebook) -> Trouble:
    critical = any(book.rules[each.rule].worst is Level.CRITICAL for each in late)
    text = (
        f"{len(late)} of {len(book.rules)} rules are not checked in time, so nothing changes for them: {_names(late)}. "
        f"{_sentence(late[0].reason)} `alertd plan` says which rules take the calls; check them less often, or let others with "
        "the token ask less."
    )
    return Trouble(BUDGET, "The calls do not suffice", text, level=Level.CRITICAL if critical else Level.WARNING)


def _names(group: Sequence[Checked]) -> str:
    named, more = [each.rule for each in group[:_NAMED]], len(group) - _NAMED
    return ", ".join(named) + (f" and {more} more" if more > 0 else "")


def _sentence(reason: str) -> str:
    text = reason.strip().rstrip(".")
    return f"{text[:1].upper()}{text[1:]}."
