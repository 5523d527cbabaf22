"""What a forecast says, as plain data and as advice."""

from __future__ import annotations

from typing import Any

from alertd.durations import format_duration, spell_duration
from alertd.planning.forecast import Forecast, Planned
from alertd.reporting.query import Filter
from alertd.rulebook.findings import Finding
from alertd.rulebook.rule import Rulebook


def to_json(found: Forecast) -> dict[str, Any]:
    """The forecast as `alertd plan --json` prints it; `every` in seconds, costs in calls a minute."""
    return {
        "rules": found.rules,
        "calls": {"worst_minute": found.worst_minute, "mean_per_minute": round(found.mean_per_minute, 3)},
        "requests": [_request(each) for each in found.requests],
        "fits": found.fits,
        "usable": found.usable,
        "headroom": round(found.headroom, 3),
        "cost": {"rules": _rounded(found.cost_by_rule), "owners": _rounded(found.cost_by_owner)},
    }


def compare(now: Forecast, before: Forecast) -> dict[str, Any]:
    """What changes from one rulebook to the other."""
    rules, earlier = set(now.cost_by_rule), set(before.cost_by_rule)
    return {
        "rules": now.rules - before.rules,
        "requests": len(now.requests) - len(before.requests),
        "mean_per_minute": round(now.mean_per_minute - before.mean_per_minute, 3),
        "worst_minute": now.worst_minute - before.worst_minute,
        "fits_before": before.fits,
        "added": sorted(rules - earlier),
        "removed": sorted(earlier - rules),
    }


def advice(found: Forecast) -> list[str]:
    """What to do about a rulebook that does not fit: which rules to slow down, and which filters keep them apart."""
    wanted = f"The rules do not fit: they want {found.mean_per_minute:.1f} calls a minute, {found.usable} are there."
    lines = [wanted, "Check the costliest less often, or give them filters that others have too:"]
    for each in sorted(found.requests, key=_cost, reverse=True)[:5]:
        rules = ", ".join(each.rules[:3]) + (f" and {len(each.rules) - 3} more" if len(each.rules) > 3 else "")
        late = f", {spell_duration(each.latest)} late at worst" if not each.fits else ""
        lines.append(f"  every {format_duration(each.every)}{late}: {rules} (kept apart by {_words(each)})")
    return lines


def findings(found: Forecast, book: Rulebook) -> tuple[Finding, ...]:
    """A finding for each rule whose request does not get its turn in time, the costliest requests first."""
    wants = f"all rules together want {found.mean_per_minute:.1f} calls a minute on average, {found.usable} are there"
    told = []
    for each in sorted(found.late, key=_cost, reverse=True):
        for name in each.rules:
            rule = book.rules[name]
            message = (
                f"the rules do not fit into the budget: this one would be checked {spell_duration(each.latest)} late; {wants}. "
                f"Check it less often, or give it the filters of another (its own keep it apart: {_words(each)})"
            )
            told.append(Finding("error", message, rule.file, rule.line or 1, rule=name))
    return tuple(told)


def _cost(each: Planned) -> float:
    return each.calls / each.every


def _words(each: Planned) -> str:
    return "; ".join(sorted(_filter(one) for one in each.request.filters)) or "the window alone"


def _filter(one: Filter) -> str:
    return f"{one.property} {one.operation.value} {', '.join(str(value) for value in one.values)}".strip()


def _request(each: Planned) -> dict[str, Any]:
    return {
        "every": each.every / 1000 if each.every % 1000 else each.every // 1000,
        "window": each.request.window.length // 1000,
        "filters": [one.to_json() for one in sorted(each.request.filters, key=repr)],
        "metrics": sorted(each.request.metrics),
        "rules": list(each.rules),
        "calls": each.calls,
        "latest": each.latest / 1000,
        "fits": each.fits,
    }


def _rounded(costs: Any) -> dict[str, float]:
    return {name: round(cost, 4) for name, cost in sorted(costs.items(), key=lambda each: (-each[1], each[0]))}
