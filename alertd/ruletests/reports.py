"""What came of tests, for machines: plain data, and JUnit's XML for CI systems."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby
from typing import Any
from xml.etree import ElementTree as ET

from alertd.clock import iso
from alertd.ruletests.comparing import Failure
from alertd.ruletests.showing import Outcome, details

# What XML 1.0 cannot hold.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def to_json(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The outcomes as `alertd test --json` prints them; times of tests in milliseconds, `took` in seconds."""
    return {
        "passed": sum(each.passed for each in outcomes),
        "failed": sum(not each.passed for each in outcomes),
        "evaluations": sum(each.evaluations for each in outcomes),
        "tests": [_test(each) for each in outcomes],
    }


def junit(outcomes: Sequence[Outcome]) -> bytes:
    """One suite a file, one case a test, as JUnit's readers expect it."""
    root = ET.Element("testsuites", _counts(outcomes))
    for file, some in groupby(outcomes, key=lambda each: each.case.file):
        mine = list(some)
        suite = ET.SubElement(root, "testsuite", {"name": _clean(file)} | _counts(mine))
        for each in mine:
            names = {
                "classname": _clean(file),
                "name": _clean(each.case.name),
                "file": _clean(file),
                "line": str(each.case.line),
            }
            case = ET.SubElement(suite, "testcase", names | {"time": f"{each.took / 1000:.3f}"})
            if not each.passed:
                message = "; ".join(failure.title for failure in each.failures)
                ET.SubElement(case, "failure", {"message": _clean(message)}).text = _clean("\n".join(details(each)))
    ET.indent(root)
    text: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def _counts(outcomes: Sequence[Outcome]) -> dict[str, str]:
    failed = sum(not each.passed for each in outcomes)
    took = sum(each.took for each in outcomes)
    return {"tests": str(len(outcomes)), "failures": str(failed), "errors": "0", "time": f"{took / 1000:.3f}"}


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("�", text)


def _test(done: Outcome) -> dict[str, Any]:
    case = done.case
    return {
        "name": case.name,
        "file": case.file,
        "line": case.line,
        "start": iso(case.start),
        "rules": list(case.rules),
        "passed": done.passed,
        "evaluations": done.evaluations,
        "calls": done.calls,
        "took": done.took / 1000,
        "failures": [_failure(each) for each in done.failures],
        "timeline": [{"at": each.at, "text": each.text} for each in done.timeline],
    }


def _failure(failure: Failure) -> dict[str, Any]:
    lines = [{"sign": each.sign, "text": each.text} for each in failure.lines]
    return {"title": failure.title, "at": failure.at, "line": failure.line, "lines": lines}
