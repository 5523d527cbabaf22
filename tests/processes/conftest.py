from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes.stage import Stage, staged


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A reporting API, Slack and a mailbox; afterwards no secret may be found where it should not be."""
    with staged(tmp_path) as found:
        yield found
