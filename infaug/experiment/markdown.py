"""Tables as Markdown, from whatever cells are finished."""

from collections.abc import Mapping, Sequence
from typing import Any

from infaug.experiment.grid import Column, Table, grid_cell
from infaug.experiment.results import Record, Results
from infaug.experiment.summary import gap_closed, statistics, with_best_random
from infaug.experiment.verdict import CONTROLS_OF, verdict
from infaug.training.rows import RANDOM, RANDOM_ROWS, RIVALS

NOT_RUN = "not run"
LABELS = {
    "base_random_initial": "&nbsp;&nbsp;through the initial G",
    "base_random_final": "&nbsp;&nbsp;through the final G",
}


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
        again = f"{command} --tables {table.name} --seeds {seeds} --rows {rows}"
        lines += ["", "Not run, or not for all seeds:", "", "```", again, "```"]
    return "\n".join(lines)


Found = Mapping[str, Mapping[int, Record]]


def _found(table: Table, column: Column, results: Results, seeds: int) -> Found:
    """Results by row and seed."""
    found: dict[str, dict[int, Record]] = {}
    for row in table.rows:
        cells = (grid_cell(row, seed, column.config) for seed in range(seeds))
        got = {cell.seed: results.get(cell) for cell in cells}
        found[row] = {seed: record for seed, record in got.items() if record}
    return found


def _rows(
    table: Table, titles: Sequence[str], found: Sequence[Found], seeds: int
) -> list[str]:
    lines = [f"| row | {' | '.join(titles)} |", "|---" * (len(titles) + 1) + "|"]
    best = [_best_random(column) for column in found]
    for row in table.rows:
        if row == RANDOM_ROWS[0] and RANDOM_ROWS[1] in table.rows:
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


def _best_random(found: Found) -> dict[int, Record]:
    """By seed, the better of random tau through the two G on the selection split."""
    if not all(row in found for row in RANDOM_ROWS):
        return {}
    both = sorted(set(found[RANDOM_ROWS[0]]) & set(found[RANDOM_ROWS[1]]))
    if not both:
        return {}
    pairs = {row: [found[row][seed] for seed in both] for row in RANDOM_ROWS}
    best = with_best_random(pairs)[RANDOM]
    return dict(zip(both, best, strict=True))


def complete(found: Found, seeds: int) -> dict[str, list[float]]:
    """Test accuracies of the rows that have every seed, `base_random` among them."""
    rows = {**found, RANDOM: _best_random(found)}
    return {
        name: [records[seed]["test_top1"] for seed in range(seeds)]
        for name, records in rows.items()
        if name not in RANDOM_ROWS and len(records) == seeds
    }


def _sentences(titles: Sequence[str], found: Sequence[Found], seeds: int) -> list[str]:
    lines = []
    for title, column in zip(titles, found, strict=True):
        tops = complete(column, seeds)
        learned: Sequence[Any] = [row for row in CONTROLS_OF if row in tops]
        for row in learned:
            ours = set(learned) - set(RIVALS) - {row}
            others = {k: v for k, v in tops.items() if k not in ours}
            lines.append(f"- {title}: {verdict(others)}.")
        if closed := gap_closed(tops):
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
        row for row in table.rows if any(len(column[row]) < seeds for column in found)
    ]
