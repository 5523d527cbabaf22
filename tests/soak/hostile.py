"""Whatever comes in from outside, many times over: the tests of hostile input with fifty times their examples."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

from tests.soak.trial import Shown

ROOT = Path(__file__).parent.parent.parent
TIMES = 50


def hostile(folder: Path, small: bool) -> Shown:
    """Run tests/hostile in a process of its own, which may have faults of its own."""
    times = 1 if small else TIMES
    report = folder / "hostile.xml"
    command = [sys.executable, "-m", "pytest", "-q", "tests/hostile", "-p", "no:cacheprovider", f"--junitxml={report}"]
    command += ["--hypothesis-show-statistics", f"--basetemp={folder / 'tests'}"]
    variables = os.environ | {"ALERTD_HOSTILE_TIMES": str(times)}
    done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False)
    counts = _counts(report)
    assert done.returncode == 0, (
        f"{counts['faults']} of {counts['tests']} tests failed:\n{done.stdout[-4_000:]}{done.stderr[-1_000:]}"
    )
    examples = sum(int(found) for found in re.findall(r"(\d+) passing", done.stdout))
    return Shown(f"hostile input at every border, {times} times the examples", {**counts, "examples": examples})


def _counts(report: Path) -> dict[str, int | float | str]:
    """Tests and those of them that failed, as the run has written them down."""
    if not report.exists():
        return {"tests": 0, "faults": 0}
    suite = next(ET.parse(report).iter("testsuite"))
    return {"tests": int(suite.get("tests", 0)), "faults": int(suite.get("failures", 0)) + int(suite.get("errors", 0))}
