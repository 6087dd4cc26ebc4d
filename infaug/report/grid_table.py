"""Tables of means and spreads: as text for a terminal, as Markdown for a page."""

from collections.abc import Mapping, Sequence
from typing import Any

from infaug.experiment.grid import Column, Table, grid_training
from infaug.experiment.results import Record, Results
from infaug.experiment.summary import gap_closed, statistics
from infaug.experiment.verdict import CONTROLS_OF, Verdict, best_random, verdict
from infaug.report.verdict import describe, describe_answer
from infaug.training.methods import RANDOM, RANDOM_METHODS, RIVALS

NOT_RUN = "not run"
LABELS = {
    "base_random_initial": "&nbsp;&nbsp;through the initial G",
    "base_random_final": "&nbsp;&nbsp;through the final G",
}


def result_text(result: Mapping[str, Any]) -> str:
    """Methods with mean, standard deviation and seeds, what was chosen, the verdict.

    >>> methods = {"base": {"mean": 70.0, "std": None, "seeds": [70.0]}}
    >>> found = Verdict(word="undecided", method=None).to_dict()
    >>> print(result_text({"unit": "percent", "methods": methods, "verdict": found}))
    top-1 on test, percent
      base              70.00            (70.00)
    verdict: undecided: no learned method was run
    """
    lines = []
    if "answer" in result:
        lines.append(f"answer: {describe_answer(result['answer'])}")
    where = "of the judged folds" if "answer" in result else "on test"
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
    lines.append(f"verdict: {describe(Verdict.from_dict(result['verdict']))}")
    return "\n".join(lines)


def markdown(table: Table, results: Results, seeds: int, command: str) -> str:
    """A table with mean and spread, verdicts, shares of the gap, and its command.

    Only cells of the first `seeds` seeds count. A verdict compares rows that have all
    of them. `command` is what runs everything; what is missing is listed with its own.
    """
    found = [_found(table, column, results, seeds) for column in table.columns]
    titles = [column.title for column in table.columns]
    lines = [f"### {table.title}", "", *_rows(table, titles, found, seeds), ""]
    lines.append(
        f"Mean and standard deviation of top-1 on test over {seeds} paired seeds, "
        "percent."
    )
    lines += ["", *_sentences(titles, found, seeds)]
    lines += ["", "```", f"{command} --tables {table.name} --seeds {seeds}", "```"]
    if missing := _missing(table, found, seeds):
        rows = " ".join(missing)
        again = f"{command} --tables {table.name} --seeds {seeds} --methods {rows}"
        lines += ["", "Not run, or not for all seeds:", "", "```", again, "```"]
    return "\n".join(lines)


Found = Mapping[str, Mapping[int, Record]]


def _found(table: Table, column: Column, results: Results, seeds: int) -> Found:
    """Results by row and seed."""
    found: dict[str, dict[int, Record]] = {}
    for row in table.methods:
        cells = (grid_training(row, seed, column.config) for seed in range(seeds))
        got = {cell.seed: results.get(cell) for cell in cells}
        found[row] = {seed: record for seed, record in got.items() if record}
    return found


def _rows(
    table: Table, titles: Sequence[str], found: Sequence[Found], seeds: int
) -> list[str]:
    lines = [f"| row | {' | '.join(titles)} |", "|---" * (len(titles) + 1) + "|"]
    best = [best_random(column) for column in found]
    for row in table.methods:
        if row == RANDOM_METHODS[0] and RANDOM_METHODS[1] in table.methods:
            lines.append(_line("`base_random`", best, seeds))
        label = LABELS.get(row, f"`{row}`")
        lines.append(_line(label, [column[row] for column in found], seeds))
    return lines


def _line(label: str, columns: Sequence[Mapping[int, Record]], seeds: int) -> str:
    return f"| {label} | {' | '.join(_entry(c, seeds) for c in columns)} |"


def _entry(records: Mapping[int, Record], seeds: int) -> str:
    if not records:
        return NOT_RUN
    values = [record["test_top1"] for record in records.values()]
    numbers = statistics(values)
    spread = "" if numbers["std"] is None else f" ± {numbers['std']:.1f}"
    part = "" if len(values) == seeds else f" ({len(values)} of {seeds} seeds)"
    return f"{numbers['mean']:.1f}{spread}{part}"


def complete(found: Found, seeds: int) -> dict[str, dict[int, float]]:
    """Test accuracies of the rows that have every seed, `base_random` among them."""
    rows = {**found, RANDOM: best_random(found)}
    return {
        name: {seed: records[seed]["test_top1"] for seed in range(seeds)}
        for name, records in rows.items()
        if name not in RANDOM_METHODS and len(records) == seeds
    }


def _sentences(titles: Sequence[str], found: Sequence[Found], seeds: int) -> list[str]:
    lines = []
    for title, column in zip(titles, found, strict=True):
        tops = complete(column, seeds)
        learned: Sequence[Any] = [row for row in CONTROLS_OF if row in tops]
        for row in learned:
            ours = set(learned) - set(RIVALS) - {row}
            others = {k: v for k, v in tops.items() if k not in ours}
            lines.append(f"- {title}: {describe(verdict(others))}.")
        values = {name: list(by_seed.values()) for name, by_seed in tops.items()}
        if closed := gap_closed(values):
            parts = ", ".join(f"{name} {share:.0f} %" for name, share in closed.items())
            lines.append(f"- {title}: share of the gap from base to oracle: {parts}.")
        if chosen := _chosen(column):
            lines.append(f"- {title}: base_tuned chose {chosen}.")
    return lines or ["- no row has all seeds yet."]


def _chosen(found: Found) -> str:
    records = found.get("base_tuned", {})
    return ", ".join(f"`{record['base']}`" for record in records.values())


def _missing(table: Table, found: Sequence[Found], seeds: int) -> list[str]:
    return [
        row
        for row in table.methods
        if any(len(column[row]) < seeds for column in found)
    ]
