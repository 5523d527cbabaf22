"""What works and what does not, for health, log and metrics."""

from alertd.watching.saying import Lacks
from alertd.watching.watch import Watch

__all__ = ["Lacks", "Watch"]
