"""A run's result as text."""

from collections.abc import Mapping
from typing import Any


def table(result: Mapping[str, Any]) -> str:
    """Rows with mean, standard deviation and seeds, what was chosen, the verdict.

    >>> rows = {"base": {"mean": 70.0, "std": None, "seeds": [70.0]}}
    >>> print(table({"unit": "percent", "rows": rows, "verdict": "undecided"}))
    top-1 on test, percent
      base              70.00            (70.00)
    verdict: undecided
    """
    lines = [f"top-1 on test, {result['unit']}"]
    for name, row in result["rows"].items():
        spread = "" if row["std"] is None else f"+- {row['std']:.2f}"
        seeds = " ".join(f"{value:.2f}" for value in row["seeds"])
        lines.append(f"  {name:<16}{row['mean']:>7.2f} {spread:<10} ({seeds})")
    if chosen := result.get("tuned"):
        lines.append("base_tuned chose " + ", ".join(c["base"] for c in chosen))
    if closed := result.get("gap_closed"):
        parts = ", ".join(f"{name} {share:.0f} %" for name, share in closed.items())
        lines.append(f"share of the gap from base to oracle: {parts}")
    lines.append(f"verdict: {result['verdict']}")
    return "\n".join(lines)
