"""The tree as CONTRIBUTING.md draws it: imports go downwards, modules stay small, few places touch the network or a clock."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from alertd import settings

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "alertd"
MODULES = sorted(PACKAGE.rglob("*.py"))

# From the bottom up: a line may import what stands in lines above it, and itself. Names of one line do not know each other.
LAYERS = (
    ("__init__", "errors", "clock"),
    ("durations", "facts"),
    ("units", "store"),
    ("notice", "charts"),
    ("reporting",),
    ("measures", "comparisons", "channels"),
    ("rulebook", "sandbox"),
    ("planning", "notices"),
    ("evaluation",),
    ("ruletests",),
    ("overview",),
    ("web",),
    ("settings", "logs", "shipped"),
    ("assembly", "watching", "steering", "reloading", "heartbeat"),
    ("troubles", "sending", "pressing"),
    ("engine",),
    ("daemon",),
    ("demo",),
    ("testing",),
    ("cli",),
    ("__main__",),
)
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
ENTRANCES = frozenset({"assembly", "daemon", "demo", "cli"})

# Who speaks with the network, and who may know what time it is.
NETWORK = frozenset({"reporting", "channels", "web", "sandbox"})
LIBRARIES = frozenset(
    {"requests", "urllib3", "http", "smtplib", "socket", "slack_sdk", "uvicorn", "aiosmtpd", "aiohttp", "httpx"}
)
CLOCKS = re.compile(
    r"time\.(time|time_ns|localtime|gmtime|perf_counter|clock_gettime)|(datetime\.)?(datetime|date)\.(now|utcnow|today)"
)
CLOCK_READERS = {
    "clock.py": "the machine's clocks, for whoever is handed a Clock",
}
STOPWATCHES = {
    "reporting/http.py": "the deadline of a call: requests has none for the whole",
    "daemon.py": "how long a stop may take, and how long a tick took",
    "sending.py": "how long a stop may take",
    "assembly.py": "how whoever calls without worker threads waits for a slot",
    "testing/source.py": "the same for tests on the machine's own clock",
}

WRITTEN = ("alertd", "tests", "rules", "templates", "docs", "deploy")
TEXTS = {
    ".py",
    ".md",
    ".yaml",
    ".yml",
    ".toml",
    ".lock",
    ".txt",
    ".html",
    ".j2",
    ".css",
    ".js",
    ".json",
    ".ini",
    ".cfg",
    ".sh",
    "",
}
IGNORED = {"__pycache__", ".venv", ".git"}


def area(module: Path) -> str:
    return module.relative_to(PACKAGE).parts[0].removesuffix(".py")


def known(module: Path) -> str:
    return module.relative_to(PACKAGE).as_posix()


@cache
def parsed(module: Path) -> ast.Module:
    return ast.parse(module.read_text(encoding="utf-8"))


def imports(module: Path) -> Iterator[tuple[str, str]]:
    """Every import of a module, those inside functions too: what it is from, and the name that is taken."""
    for node in ast.walk(parsed(module)):
        if isinstance(node, ast.Import):
            yield from ((each.name, "") for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{known(module)} imports relatively"
            yield from ((str(node.module), each.name) for each in node.names)


def own_imports(module: Path) -> Iterator[str]:
    """The areas of alertd that a module imports."""
    for source, name in imports(module):
        parts = source.split(".")
        if parts[0] == "alertd":
            folder = len(parts) == 1 and ((PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").exists())
            yield parts[1] if len(parts) > 1 else name if folder else "__init__"


def attributes(module: Path) -> Iterator[str]:
    """Every dotted name that a module uses, such as `time.monotonic`; what was imported by itself with where it is from."""
    origins = {name: f"{source}.{name}" for source, name in imports(module) if name}
    for node in ast.walk(parsed(module)):
        if isinstance(node, ast.Attribute | ast.Name):
            text = ast.unparse(node)
            first, dot, rest = text.partition(".")
            yield origins.get(first, first) + dot + rest


@pytest.mark.parametrize("module", MODULES, ids=known)
def test_imports_go_downwards_only(module: Path) -> None:
    mine = area(module)
    if mine == "testing":
        assert not {"web", "settings", "daemon", "demo", "cli"} & set(own_imports(module))
        return
    upwards = [other for other in own_imports(module) if other != mine and RANK.get(other, 99) >= RANK[mine]]
    assert not upwards, f"{known(module)} is in {mine}, which stands below {', '.join(upwards)} or beside it"


def test_nothing_in_alertd_imports_the_fakes_but_the_verb_that_simulates() -> None:
    found = [known(each) for each in MODULES if area(each) != "testing" and "testing" in own_imports(each)]
    assert found == ["cli/simulate.py"]


def test_nothing_but_the_simulation_knows_of_planted_bugs() -> None:
    found = [known(each) for each in MODULES for source, _ in imports(each) if source.endswith(".planted")]
    assert not found


def test_the_settings_are_known_to_the_entrances_only() -> None:
    assert {area(each) for each in MODULES if "settings" in own_imports(each)} <= ENTRANCES | {"settings"}


def test_contributing_shows_every_area_in_this_order() -> None:
    drawn = re.search(
        r"^    errors.*?(?=\n\n)", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    assert drawn
    heads = [
        re.split(r"\s{3,}", line.strip())[0] for line in drawn[0].splitlines() if line.startswith("    ") and line[4] != " "
    ]
    shown = [name for head in heads for name in re.findall(r"\w+", head)]
    assert sorted(shown) == sorted({area(each) for each in MODULES} - {"__init__", "__main__"})
    ranks = [RANK[name] for name in shown if name != "testing"]
    assert ranks == sorted(ranks)


@pytest.mark.parametrize("module", MODULES, ids=known)
def test_a_module_is_short_and_says_what_it_is_for(module: Path) -> None:
    assert len(module.read_text(encoding="utf-8").splitlines()) <= 350
    assert ast.get_docstring(parsed(module))


@pytest.mark.parametrize("module", MODULES, ids=known)
def test_only_four_areas_speak_with_the_network(module: Path) -> None:
    if area(module) not in NETWORK:
        assert not LIBRARIES & {source.split(".")[0] for source, _ in imports(module)}


@pytest.mark.parametrize("module", MODULES, ids=known)
def test_time_comes_in_by_argument(module: Path) -> None:
    used = set(attributes(module))
    read = {name for name in used if CLOCKS.fullmatch(name)}
    assert not read or known(module) in CLOCK_READERS, read
    stopped = {name for name in used if re.fullmatch(r"time\.(monotonic|monotonic_ns|sleep)", name)}
    assert not stopped or known(module) in STOPWATCHES, stopped


def test_the_exceptions_of_time_are_still_needed() -> None:
    for name in CLOCK_READERS | STOPWATCHES:
        assert any(each.startswith(("time.", "datetime.")) for each in attributes(PACKAGE / name)), name


def written() -> Iterator[tuple[str, str]]:
    """Every text file of the project."""
    tops = [each for each in ROOT.iterdir() if each.is_file() and each.suffix in TEXTS and each.name != ".env"]
    inside = [each for top in (*WRITTEN, ".ci", ".github") for each in (ROOT / top).rglob("*") if each.is_file()]
    for file in sorted(tops + inside):
        if file.suffix in TEXTS and not IGNORED & set(file.parts) and file != Path(__file__):
            yield file.relative_to(ROOT).as_posix(), file.read_text(encoding="utf-8", errors="replace")


def test_no_file_names_a_package_index_or_a_path_of_one_machine() -> None:
    index = r"--(?:extra-)?index-url|--find-links|--trusted-host|PIP_INDEX|UV_INDEX|files\.pythonhosted\.org|/simple/?\b"
    place = r"(?<![\w.])/(?:home|root|Users|work)/"
    found = [
        f"{name}:{number}: {line.strip()}"
        for name, text in written()
        for number, line in enumerate(text.splitlines(), 1)
        if re.search(f"{index}|{place}", line)
    ]
    assert not found


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_a_lock_has_versions_and_hashes_and_nothing_else(lock: str) -> None:
    for line in (ROOT / lock).read_text(encoding="utf-8").splitlines():
        assert re.fullmatch(r"[a-z0-9][a-z0-9._-]*==[^ ;]+( ; [^\\]+)?( \\)?|    --hash=sha256:[0-9a-f]{64}( \\)?|", line), line
        assert "://" not in line


def test_every_setting_that_a_file_names_exists() -> None:
    """Advice such as "set ALERTD_SLACK__BOT_TOKEN" must not name something that nobody reads."""
    real = {*settings.known_names(), *settings.SECRETS, *(f"{name}_FILE" for name in settings.SECRETS)}
    begun = {name.partition("__")[0] for name in real}  # a section: ALERTD_REPORTING
    found = {
        f"{name}: {word}"
        for name, text in written()
        if not name.startswith("tests/")
        for word in re.findall(r"\bALERTD_[A-Z_]*[A-Z]\b", text)
        if word not in real | begun
    }
    assert not found
