"""The sentences of `/readyz` about budget, outbox and history: what is wrong, and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from alertd.clock import HOUR, MINUTE, SECOND, Instant, iso
from alertd.durations import spell_duration
from alertd.notices.unsent import RECENT, Unsent
from alertd.planning.forecast import Forecast
from alertd.reporting.budget import BudgetState
from alertd.web.health import Check

RESTART = "; restart alertd, and report its log"

# A delivery that has waited this long means that sending does not work.
_STUCK = 10 * MINUTE

# History is pruned once a day.
_PRUNED = 26 * HOUR


@dataclass(frozen=True)
class Lacks:
    """What receivers lack at this moment, such as a secret that is not set, and who is told in their place."""

    receivers: Mapping[str, str] = field(default_factory=dict)  # by name, in a sentence
    fallback: str | None = None  # None: there is none that works

    @property
    def texts(self) -> Mapping[str, str]:
        """By name, what is lacking and what becomes of its messages until that is mended."""
        then = f"its messages go to {self.fallback}" if self.fallback else "its messages reach nobody"
        return {name: f"{lack}; until then {then}" for name, lack in self.receivers.items()}

    @property
    def sentences(self) -> list[str]:
        """The same for whoever has not been told what it is about."""
        return [f"{name} cannot be used: {text}" for name, text in self.texts.items()]

    @property
    def silent(self) -> bool:
        """Whether somebody is not told for that."""
        return bool(self.receivers) and self.fallback is None


def delivery(unsent: Unsent, lacks: Lacks, now: Instant, unread: str | None) -> Check:
    """Whether messages go out. `unread`: why nothing can be taken from the outbox, if so."""
    if unread:
        return Check(ok=False, text=unread)
    waited = now - unsent.since if unsent.since is not None else 0
    text = f"{unsent.count} to send, the oldest for {spell_duration(waited)}" if unsent.count else "nothing to send"
    lost = [_lost(unsent, now)] if unsent.lost else []
    ok = waited < _STUCK and not unsent.lost and not lacks.silent
    return Check(ok=ok, text="; ".join([text, *lost, *lacks.sentences]))


def calls_left(state: BudgetState | None, found: Forecast | None) -> Check:
    """Whether there are calls: not while the API refuses us some, nor when the rules need more than there are."""
    if state is None:
        return Check(ok=False, text="what is left of the calls is not known, because the store cannot be read")
    if state.blocked_for:
        text = f"the API answered that there are too many calls (429): none for another {spell_duration(state.blocked_for)}"
        return Check(ok=False, text=f"{text}; see who else holds the token, or lower ALERTD_BUDGET__CALLS_PER_MINUTE")
    usable = state.calls_per_minute - state.reserve
    if found and not found.fits:
        return Check(ok=False, text=unfit(found))
    if found and found.mean_per_minute > usable - state.withheld:
        text = f"the rules take {found.mean_per_minute:.0f} calls a minute, and since the API refused some only"
        return Check(ok=False, text=f"{text} {usable - state.withheld} of {usable} are in use; one comes back each minute")
    less = f"; {state.withheld} more are out of use since the API refused some" if state.withheld else ""
    return Check(ok=True, text=f"{state.free} of {usable} calls a minute are free{less}")


def unfit(found: Forecast) -> str:
    """That the rules need more calls than there are, and what to do."""
    late = len({rule for each in found.late for rule in each.rules})
    what = f"{late} of {found.rules} rules cannot be checked in time with {found.usable} calls a minute"
    return f"{what}; `alertd plan` says which rules take them: check those less often"


def pruning(pruned_at: Instant | None, problem: str | None, now: Instant) -> Check | None:
    """Whether old history is removed; None before it was tried."""
    if problem:
        return Check(ok=False, text=f"old history could not be removed, so the store grows; tomorrow again: {problem}")
    if pruned_at is None:
        return None
    text = f"old history was last removed {second(pruned_at)}"
    return (
        Check(ok=False, text=f"{text}, so the store grows{RESTART}") if now - pruned_at > _PRUNED else Check(ok=True, text=text)
    )


def second(instant: Instant) -> str:
    """An instant, to the second."""
    return iso(instant - instant % SECOND)


def _lost(unsent: Unsent, now: Instant) -> str:
    """What reached nobody, and when that is no longer a trouble."""
    names, count = " and ".join(unsent.lost), sum(unsent.lost.values())
    return (
        f"{count} of the last hour reached nobody, `alertd status` says why; ready again when that is mended and a later "
        f"message to {names} was sent, or in {spell_duration(min(unsent.until - now, RECENT))}"
    )
