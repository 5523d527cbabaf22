"""A folder of rule files to a rulebook: valid as a whole, or not loaded (I8)."""

from __future__ import annotations

import gc
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TypeAlias

from alertd.errors import RulebookError
from alertd.reporting.properties import suggest
from alertd.rulebook.calendars_file import Calendars, read_calendars
from alertd.rulebook.credentials import exposed
from alertd.rulebook.files import Text, Texts, gather, read
from alertd.rulebook.findings import Finding, arrange, errors, mask, summarise
from alertd.rulebook.located import Document, compose
from alertd.rulebook.misfit import show
from alertd.rulebook.reading import read_rules
from alertd.rulebook.receivers import Roster, read_receivers
from alertd.rulebook.relations import Known
from alertd.rulebook.revision import find_commit, find_revision
from alertd.rulebook.routing import idle_routes
from alertd.rulebook.rule import Rule, Rulebook

_TAKE_BACK = "make it invalid where it was made, and name an environment variable for the new one"
_TOLD = 3  # errors in one message; all of them are in the findings


@dataclass(frozen=True)
class _Page:
    """What one rule file came to. `claims` says where each id stands that its rules want to have, right or wrong otherwise."""

    rules: tuple[Rule, ...]
    claims: tuple[Finding, ...]
    findings: tuple[Finding, ...]
    mentions: tuple[Finding, ...] = ()  # where its rules name others, as `claims` do
    empty: Finding | None = None  # where it says itself that it has no rules


_Key: TypeAlias = tuple[Hashable, ...]


@dataclass
class Memory:
    """What the files of the last load came to, so that those that have not changed since need not be read again."""

    pages: dict[_Key, _Page] = field(default_factory=dict)


def load(folder: Path, *, revision: str | None = None, upwards: bool = False) -> Rulebook:
    """The rulebook of a folder or a single file; RulebookError with all findings of all its files if it has errors.

    The revision is asked of git where it is not given. `upwards`: receivers and calendars may stand in a folder above.
    """
    texts = read(gather([folder], upwards=upwards))
    return build(texts, revision or find_revision(folder, find_commit(folder), texts.files))


def inspect(
    paths: Path | Sequence[Path], *, revision: str | None = None, upwards: bool = False
) -> tuple[Rulebook | None, tuple[Finding, ...]]:
    """The rulebook, None if it has errors, and everything there is to say about its files, warnings too.

    `upwards`: receivers and calendars may stand in a folder above.
    RulebookError only if there is nothing to look at: no such folder, no rule file in it, far too many files.
    """
    sources = gather([paths] if isinstance(paths, Path) else paths, upwards=upwards)
    return _assemble(read(sources), revision, Memory())


def build(texts: Texts, revision: str | None, memory: Memory | None = None) -> Rulebook:
    """The rulebook that these texts make; RulebookError with all findings if there are errors among them.

    The memory of an earlier load makes this one faster, and is brought up to date.
    """
    rulebook, findings = _assemble(texts, revision, memory or Memory())
    if rulebook is None:
        wrong = errors(findings)
        said = [f"{each.file}:{each.line}:{each.column}: {mask(each.message)}" for each in wrong[:_TOLD]]
        more = [f"and {len(wrong) - _TOLD} more"] if len(wrong) > _TOLD else []
        raise RulebookError(f"the rules cannot be loaded: {'; '.join([summarise(wrong), *said, *more])}", findings)
    return rulebook


@dataclass(frozen=True)
class _Beside:
    """What the files without rules hold; `key` is all of it that reading a rule file depends on."""

    roster: Roster
    known: Known
    key: Hashable
    findings: tuple[Finding, ...]


def _assemble(texts: Texts, revision: str | None, memory: Memory) -> tuple[Rulebook | None, tuple[Finding, ...]]:
    beside = _beside(texts)
    with _circles_ignored():
        memory.pages = dict(_pages(texts, beside, memory.pages))
    pages = memory.pages.values()
    claims = [claim for page in pages for claim in page.claims]
    mentions = [*beside.roster.mentions, *(each for page in pages for each in page.mentions)]
    findings = [*texts.findings, *beside.findings, *_twice(claims), *_strangers(mentions, {each.rule for each in claims})]
    findings += [finding for page in pages for finding in page.findings]
    rules = {rule.id: rule for page in pages for rule in page.rules}
    findings += _quiet_in_circles(rules, mentions)
    if not rules and not errors(findings):
        findings.append(_without_rules(texts, pages))
    if texts.whole and not errors(findings):
        findings += idle_routes(beside.roster, rules.values())
    arranged = arrange(findings)
    if errors(arranged):
        return None, arranged
    roster = beside.roster
    return Rulebook(rules, roster.receivers, roster.fallback, revision, roster.routes), arranged


def _quiet_in_circles(rules: Mapping[str, Rule], mentions: Iterable[Finding]) -> Iterator[Finding]:
    """Rules that keep each other quiet: while all of them fire nobody would be told of any."""
    try:
        TopologicalSorter({name: rule.quiet_while for name, rule in rules.items()}).prepare()
    except CycleError as problem:
        circle = problem.args[1]
        message = f"these keep each other quiet, so nobody is told while all fire: {', '.join(circle[:-1])}; remove one of them"
        yield from (replace(each, message=message, rule=None) for each in mentions if each.rule in circle)


def _beside(texts: Texts) -> _Beside:
    special = texts.special
    absent = {what: texts.sought for what in ("receivers", "calendars") if texts.sought and what not in special}
    roster, calendars = _roster(special.get("receivers")), _calendars(special.get("calendars"))
    known = Known(roster.names, calendars.calendars, calendars.names, roster.routes, absent)
    key = tuple((what, text.digest) for what, text in sorted(special.items()))
    return _Beside(roster, known, key, roster.findings + calendars.findings)


def _pages(texts: Texts, beside: _Beside, before: Mapping[_Key, _Page]) -> Iterator[tuple[_Key, _Page]]:
    """Each rule file, read unless it was read before: the key has all that reading it depends on."""
    for text in texts.rules:
        key = (text.name, text.shown, text.digest, beside.key)
        yield key, before.get(key) or _page(text, beside.known)


@contextmanager
def _circles_ignored() -> Iterator[None]:
    """Reading makes millions of values, none of which refer to each other in circles: looking for them takes a third longer."""
    collected = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collected:
            gc.enable()


def _page(text: Text, known: Known) -> _Page:
    document, findings = _document(text)
    if document is None:
        return _Page((), (), findings)
    found = read_rules(document, text.name, known)
    claims = tuple(document.finding(claim.trail, "", rule=claim.id) for claim in found.claims)
    mentions = tuple(document.finding(each.trail, "", rule=each.id) for each in found.mentions)
    return _Page(found.rules, claims, findings + found.findings, mentions, _empty(document))


def _empty(document: Document) -> Finding | None:
    if not isinstance(document.data, dict) or document.data.get("rules") != []:
        return None
    return document.finding(("rules",), "there is not one rule in all files, so nothing is checked", severity="warning")


def _roster(text: Text | None) -> Roster:
    if text is None:
        return Roster()
    document, findings = _document(text)
    if document is None:
        return Roster(names=None, findings=findings)
    found = read_receivers(document)
    return replace(found, findings=findings + found.findings)


def _calendars(text: Text | None) -> Calendars:
    if text is None:
        return Calendars()
    document, findings = _document(text)
    if document is None:
        return Calendars(names=None, findings=findings)
    found = read_calendars(document)
    return replace(found, findings=findings + found.findings)


def _document(text: Text) -> tuple[Document | None, tuple[Finding, ...]]:
    """The data of one file; None where there is none, or where what was refused would make the rest look wrong."""
    if text.text is None:
        return None, text.findings
    document, findings = compose(text.text, text.shown)
    return (document if document and document.whole else None), (*findings, *_leaks(text.text, text.shown))


def _leaks(text: str, shown: str) -> Iterator[Finding]:
    """What looks like a credential, wherever it stands; the line is not shown with it."""
    for each in exposed(text):
        message = f"this looks like {each.what}, and whoever may read this file has it; {_TAKE_BACK}"
        yield Finding("warning", message, shown, each.line, each.column, each.end_column)


def _without_rules(texts: Texts, pages: Iterable[_Page]) -> Finding:
    """A rulebook without rules is a mistake, unless a file says that it is not."""
    for page in pages:
        if page.empty:
            return page.empty
    message = 'there is not one rule in these files; if that is meant, write "rules: []" into one of them'
    return Finding("error", message, texts.rules[0].shown)


def _strangers(mentions: Iterable[Finding], rules: Collection[str | None]) -> Iterator[Finding]:
    """Names of rules that there are not, right or wrong otherwise."""
    for each in mentions:
        if each.rule not in rules:
            meant = suggest(each.rule, [rule for rule in rules if rule])
            yield replace(each, message=f"there is no rule {show(each.rule)}", suggestion=meant, rule=None)


def _twice(claims: Iterable[Finding]) -> Iterable[Finding]:
    first: dict[str, Finding] = {}
    for claim in claims:
        name = claim.rule or ""
        other = first.setdefault(name, claim)
        if other is not claim:
            where = f"{other.file}:{other.line}:{other.column}"
            yield replace(claim, message=f'the id "{name}" is taken by the rule at {where}; each rule has its own')
