from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from alertd import logs
from alertd.store.database import Database, open_database
from tests import postgresql

LACK = "PostgreSQL is not installed (on Debian: apt-get install postgresql)"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "long: waits for a clock rather than for the machine; begun first, so that they overlap")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Share the long tests out among the workers: each is given an equal part of the list, and begins with its own."""
    workers = getattr(config, "workerinput", {}).get("workercount", 1)
    long = [item for item in items if item.get_closest_marker("long")]
    short = [item for item in items if not item.get_closest_marker("long")]
    items[:] = [item for number in range(workers) for kind in (long, short) for item in _part(kind, number, workers)]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:
    """Equal parts first, and then whoever has nothing to do takes over from others."""
    from xdist.scheduler import WorkStealingScheduling  # type: ignore[import-untyped]  # ships no types

    return WorkStealingScheduling(config, log)


def _part(items: list[pytest.Item], number: int, of: int) -> list[pytest.Item]:
    return items[len(items) * number // of : len(items) * (number + 1) // of]


@pytest.fixture
def logs_as_before() -> Iterator[None]:
    """For tests that set the logs up in this process: whoever comes next finds them as they were."""
    root = logging.getLogger()
    handlers, level, was = list(root.handlers), root.level, structlog.get_config()
    levels = {name: logging.getLogger(name).level for name in logs._TALKATIVE}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)
    structlog.configure(**was)


@pytest.fixture(scope="session")
def server() -> Iterator[postgresql.Server]:
    """A PostgreSQL server of our own."""
    programs = postgresql.binaries()
    if programs is None and os.environ.get("CI"):
        pytest.fail(LACK)
    if programs is None:
        pytest.skip(LACK)
    with postgresql.running(programs) as found:
        yield found


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def kind(request: pytest.FixtureRequest) -> str:
    """What is true of a store is true on both."""
    return str(request.param)


@pytest.fixture
def new_url(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a store may be made that is not there yet; any process may open it."""
    if kind == "sqlite":
        return f"sqlite:///{tmp_path}/store.db"
    return str(request.getfixturevalue("server").new_database())


@pytest.fixture
def url(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where there is an empty store; any process may open it."""
    if kind == "postgresql":
        return str(request.getfixturevalue("server").new_store())
    found = f"sqlite:///{tmp_path}/store.db"
    open_database(found).close()
    return found


@pytest.fixture
def database(kind: str, request: pytest.FixtureRequest) -> Iterator[Database]:
    """An empty store, for this process alone."""
    opened = open_database("sqlite://" if kind == "sqlite" else request.getfixturevalue("server").new_store())
    yield opened
    opened.close()
