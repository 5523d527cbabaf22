"""A folder of rule files to a rulebook: valid as a whole, or not loaded (I8)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from alertd.errors import RulebookError
from alertd.rulebook.files import Source, gather, read
from alertd.rulebook.findings import Finding, arrange, errors, summarise
from alertd.rulebook.located import Document, compose
from alertd.rulebook.reading import Claim, Reading, read_rules
from alertd.rulebook.receivers import Roster, read_receivers
from alertd.rulebook.revision import find_revision
from alertd.rulebook.rule import Rulebook


def load(folder: Path, *, revision: str | None = None) -> Rulebook:
    """The rulebook of a folder or a single file; RulebookError with all findings of all its files if it has errors.

    The revision is asked of git where it is not given.
    """
    rulebook, findings = inspect(folder, revision=revision or find_revision(folder if folder.is_dir() else folder.parent))
    if rulebook is None:
        wrong = errors(findings)
        first = wrong[0]
        message = f"the rules cannot be loaded: {summarise(wrong)}; {first.file}:{first.line}:{first.column}: {first.message}"
        raise RulebookError(message, findings)
    return rulebook


def inspect(paths: Path | Sequence[Path], *, revision: str | None = None) -> tuple[Rulebook | None, tuple[Finding, ...]]:
    """The rulebook, None if it has errors, and everything there is to say about its files, warnings too.

    RulebookError only if there is nothing to look at: no such folder, no rule file in it, far too many files.
    """
    sources = gather([paths] if isinstance(paths, Path) else paths)
    roster = _roster(sources.receivers)
    readings = [_rules(source, roster) for source in sources.rules]
    findings = [*sources.findings, *roster.findings, *_twice(claim for each in readings for claim in each.claims)]
    findings += [finding for each in readings for finding in each.findings]
    rules = {rule.id: rule for each in readings for rule in each.rules}
    if not rules and not errors(findings):
        findings.append(Finding("error", "there is not one rule in these files", sources.rules[0].shown))
    arranged = arrange(findings)
    if errors(arranged):
        return None, arranged
    return Rulebook(rules, roster.receivers, roster.fallback, revision), arranged


def _roster(source: Source | None) -> Roster:
    if source is None:
        return Roster()
    document, findings = _document(source)
    if document is None:
        return Roster(names=None, findings=findings)
    found = read_receivers(document)
    return Roster(found.receivers, found.fallback, found.names, findings + found.findings)


def _rules(source: Source, roster: Roster) -> Reading:
    document, findings = _document(source)
    if document is None:
        return Reading((), (), findings)
    found = read_rules(document, source.name, roster.names)
    return Reading(found.rules, found.claims, findings + found.findings)


def _document(source: Source) -> tuple[Document | None, tuple[Finding, ...]]:
    """The data of one file; None where there is none, or where what was refused would make the rest look wrong."""
    text, findings = read(source)
    if text is None:
        return None, findings
    document, findings = compose(text, source.shown)
    return (document if document and document.whole else None), findings


def _twice(claims: Iterable[Claim]) -> Iterable[Finding]:
    first: dict[str, Claim] = {}
    for claim in claims:
        other = first.setdefault(claim.id, claim)
        if other is not claim:
            line, column = other.document.spot(other.trail)[:2]
            where = f"{other.document.file}:{line + 1}:{column + 1}"
            message = f'the id "{claim.id}" is taken by the rule at {where}; each rule has its own'
            yield claim.document.finding(claim.trail, message, rule=claim.id)
