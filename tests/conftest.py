from __future__ import annotations

from typing import Any

import pytest


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
