"""An answer in columns: conversation ids and one float column a metric, NaN where a conversation has no such value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Ids: TypeAlias = NDArray[np.int64]
Column: TypeAlias = NDArray[np.float64]
Mask: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True)
class Table:
    """Rows of conversations. `ids` are unique; every column is as long as `ids`."""

    ids: Ids
    columns: Mapping[str, Column] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: Mask | NDArray[np.intp]) -> Table:
        """The rows that a mask or a list of positions picks."""
        # A mask would be counted anew for every column.
        places = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        return Table(self.ids.take(places), {name: column.take(places) for name, column in self.columns.items()})


def unique(table: Table) -> Table:
    """Drop repeated conversations; the first of each stays."""
    _, first = np.unique(table.ids, return_index=True)
    return table if len(first) == len(table) else table.take(np.sort(first))


def join(tables: list[Table]) -> Table:
    """Put slices of one query together; a conversation that stands in two of them counts once."""
    if len(tables) == 1:
        return tables[0]
    columns = {name: np.concatenate([each.columns[name] for each in tables]) for name in tables[0].columns}
    return unique(Table(np.concatenate([each.ids for each in tables]), columns))
