"""The whole of alertd on a virtual clock, without threads, among peers that fail: one seed is one run, the same every time.

Real are the rules, the planner, the budget, the tick, incidents, the outbox and the store (in memory); made up are the clock,
the reporting API, the receivers, the people and the kills. After every step the invariants are checked that can be seen from
outside.
"""

from alertd.testing.simulation.running import Run, simulate
from alertd.testing.simulation.seams import Seams
from alertd.testing.simulation.violation import Violation

__all__ = ["Run", "Seams", "Violation", "simulate"]
