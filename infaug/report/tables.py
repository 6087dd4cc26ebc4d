"""Results as text for a terminal and a page, and as lines for programs."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from infaug.experiment.leaderboard import Board, Entry, is_fixed
from infaug.experiment.verdict import MIN_SEEDS, Comparison, Verdict, compare_paired
from infaug.report.verdict import describe, describe_answer
from infaug.training.methods import METHODS


def result_text(result: Mapping[str, Any]) -> str:
    """Methods with mean, standard deviation and seeds, what was chosen, the verdict.

    >>> methods = {"base": {"mean": 70.0, "std": None, "seeds": [70.0]}}
    >>> found = Verdict(word="none", method=None).to_dict()
    >>> print(result_text({"unit": "percent", "methods": methods, "verdict": found}))
    top-1 on test, by seed, percent
      base              70.00            (70.00)
    verdict: none: no learned method was run
    """
    answer, lines = result.get("answer"), []
    if answer:
        lines.append(f"answer: {describe_answer(answer)}")
    where = "out of fold, by fold" if answer else "on test, by seed"
    lines.append(f"top-1 {where}, {result['unit']}")
    for name, method in result["methods"].items():
        spread = "" if method["std"] is None else f"+- {method['std']:.2f}"
        seeds = " ".join(f"{value:.2f}" for value in method["seeds"])
        lines.append(f"  {name:<16}{method['mean']:>7.2f} {spread:<10} ({seeds})")
    if chosen := result.get("tuned"):
        lines.append("base_tuned chose " + ", ".join(c["base"] for c in chosen))
    if closed := result.get("gap_closed"):
        parts = ", ".join(f"{name} {share:.0f} %" for name, share in closed.items())
        lines.append(f"share of the gap from base to oracle: {parts}")
    found = Verdict.from_dict(result["verdict"])
    lines.append(f"verdict: {describe(found, is_folded=bool(answer))}")
    return "\n".join(lines)


KINDS = {
    **dict.fromkeys(("problem", "method", "verdict", "reference"), pa.string()),
    **dict.fromkeys(("seeds", "seeds_missing", "images"), pa.int64()),
    "test_top1_by_seed": pa.list_(pa.float64()),
}  # of columns, as `record.table_file` takes them


def rows(boards: Sequence[Board]) -> list[dict[str, Any]]:
    """A line for each method on each problem; the table that all files hold."""
    return [_row(entry, board) for board in boards for entry in board.entries]


def _row(entry: Entry, board: Board) -> dict[str, Any]:
    c = entry.against
    has_interval = c is not None and c.num_seeds > 1
    return {
        "problem": board.problem,
        "method": entry.method,
        "verdict": entry.verdict,
        "seeds": len(entry.tops),
        "seeds_missing": len(entry.missing),
        "test_top1": entry.top1,
        "test_top1_low": entry.low,
        "test_top1_high": entry.high,
        "selection_top1": entry.selection,
        "reference": board.reference,
        "difference": c.difference if c else None,
        "difference_low": c.low if c and has_interval else None,
        "difference_high": c.high if c and has_interval else None,
        "cpu_seconds": entry.cpu_seconds,
        "gpu_seconds": entry.gpu_seconds,
        "images": entry.images,
        "test_top1_by_seed": list(entry.tops.values()),
    }


def markdown(boards: Sequence[Board], seeds: int, command: str) -> str:
    """All problems as tables, what they say in words, and the command."""
    lines = []
    for board in boards:
        lines += [f"### {board.problem}", "", *_table(board, seeds), ""]
        lines += [f"- {line}" for line in findings(board)]
        if missing := [entry.method for entry in board.entries if entry.missing]:
            again = f"`--methods {' '.join(missing)}`"
            lines.append(f"- Not run, or not for all seeds: {again}.")
        lines.append("")
    lines += [
        f"Top-1 on test, percent: mean and 95 % interval over {seeds} paired seeds. "
        "Difference: to the fixed policy that is best on selection. CPU seconds: "
        "training time times threads. Images: drawn, in however many views.",
        "", "```", command, "```",
    ]  # fmt: skip
    return "\n".join(lines)


def _table(board: Board, seeds: int) -> list[str]:
    names = ("method", "test top-1", f"against {board.reference or 'none'}", "verdict")
    head = [*names, "CPU s", "GPU s", "images"]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for entry in board.entries:
        words = [
            f"`{entry.method}`", _top1(entry, seeds),
            difference_text(entry.against) if entry.against else "", entry.verdict,
            _count(entry.cpu_seconds), _count(entry.gpu_seconds), _count(entry.images),
        ]  # fmt: skip
        lines.append(f"| {' | '.join(words)} |")
    return lines


def _top1(entry: Entry, seeds: int) -> str:
    if entry.top1 is None:
        return "not run"
    text = f"{entry.top1:.1f}"
    if entry.low is not None and entry.high is not None:
        text += f" ({entry.low:.1f} to {entry.high:.1f})"
    part = f", {len(entry.tops)} of {seeds} seeds"
    return text + (part if entry.missing else "")


def _count(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


def findings(board: Board) -> list[str]:
    """Which policy is the reference, how learned methods do against every fixed one.

    What a learned method does not beat is named, with the difference.
    """
    if board.reference is None:
        return [f"{board.problem}: no fixed policy has every seed yet: no verdict."]
    of = {entry.method: entry for entry in board.entries}
    best = of[board.reference]
    lines = [
        f"{board.problem}: {best.method} is the best fixed policy by selection "
        f"({best.selection:.1f} % there, {best.top1:.1f} % on test)."
    ]
    learned = [e for e in board.entries if METHODS[e.method].is_learned and e.tops]
    fixed = [e for e in board.entries if is_fixed(e.method) and e.tops]
    lines += [f"{board.problem}: {_stands(entry, fixed)}." for entry in learned]
    return lines


def _stands(entry: Entry, fixed: Sequence[Entry]) -> str:
    """Which fixed policies a learned method beats, and which it does not."""
    beaten, others = [], []
    for other in fixed:
        tops = {each.method: each.tops for each in (entry, other)}
        c = compare_paired(entry.method, other.method, tops)
        if c is None:
            continue
        if c.num_seeds >= MIN_SEEDS and c.low > 0:
            beaten.append(other.method)
        else:
            others.append(f"{other.method} ({difference_text(c)})")
    parts = [f"beats {', '.join(beaten)}"] if beaten else []
    parts += [f"does not beat {', '.join(others)}"] if others else []
    return f"{entry.method} {'; '.join(parts) or 'has nothing to be compared with'}"


def difference_text(c: Comparison) -> str:
    """A difference with its interval, or with the number of seeds if they are few.

    >>> difference_text(Comparison("a", "b", 1.25, 0.5, 2.0, 3))
    '+1.2, +0.5 to +2.0'
    """
    if c.num_seeds < 2:
        return f"{c.difference:+.1f}, one seed"
    return f"{c.difference:+.1f}, {c.low:+.1f} to {c.high:+.1f}"
