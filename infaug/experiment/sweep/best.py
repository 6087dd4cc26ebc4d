"""What came of a sweep's trials: the best one, and tables of all."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

from infaug.config import Objective, RunConfig, to_dict
from infaug.experiment.sweep.changes import apply
from infaug.experiment.sweep.ledger import Tried
from infaug.experiment.sweep.space import Space
from infaug.record.atomic import write_bytes, write_json


def best_of(trials: Sequence[Tried], objective: Objective) -> Tried:
    """Of the trials that took all their steps, the best on the selection split.

    Of equal ones the first. A trial that was stopped might have become better; that it
    might not is what the scheduler bets on.

    Raises:
        ValueError: if no trial took all its steps.
    """
    whole = [trial for trial in trials if trial.end == "completed"]
    if not whole:
        reasons = sorted({trial.why for trial in trials if trial.why})
        raise ValueError(f"no trial came to its end: {'; '.join(reasons)}")
    return max(whole, key=lambda trial: trial.rounds[-1].merit(objective))


def write_best(best: Tried, config: RunConfig, path: Path) -> None:
    """The config that `infaug fit --config` takes."""
    write_json(path, to_dict(apply(config, best.changes)))


def common_steps(trials: Sequence[Tried]) -> int:
    """The last step that every trial with a report has reached.

    There the trials are compared where all of them have a part: in pictures.
    """
    return min(trial.rounds[-1].steps for trial in trials if trial.rounds)


def in_order(trials: Sequence[Tried], objective: Objective) -> list[Tried]:
    """Best first: those with all steps, then those stopped, by how far they came."""

    def merit(trial: Tried) -> tuple[bool, int, float]:
        last = trial.rounds[-1] if trial.rounds else None
        if last is None:
            return False, 0, 0.0
        return trial.end == "completed", last.steps, last.merit(objective)

    return sorted(trials, key=merit, reverse=True)


def table(trials: Sequence[Tried], space: Space, objective: Objective) -> str:
    """A line for each trial, best first, for a terminal."""
    shown = [name.rpartition(".")[2] for name in space]
    head = ["trial", "end", "steps", "loss", "top-1", "s", *shown]
    lines = [head, *(_line(trial, space) for trial in in_order(trials, objective))]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(word.rjust(w) for word, w in zip(line, widths, strict=True))
        for line in lines
    )


def _line(trial: Tried, space: Space) -> list[str]:
    values = [_said(trial.changes.get(name)) for name in space]
    if not trial.rounds:
        return [trial.name, trial.end or "open", "0", "", "", "", *values]
    last = trial.rounds[-1]
    numbers = [str(last.steps), f"{last.loss:.4f}", f"{last.top1:.2f}"]
    return [
        trial.name, trial.end or "open", *numbers, f"{last.seconds:.0f}", *values,
    ]  # fmt: skip


def _said(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def write_trials(trials: Sequence[Tried], space: Space, path: Path) -> None:
    """All trials as CSV: how each ended, its last report, its settings."""
    text = io.StringIO()
    numbers = ("steps", "loss", "top1", "seconds")
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["trial", "end", *numbers, *space, "why"])
    for trial in trials:
        last = trial.rounds[-1] if trial.rounds else None
        found = [getattr(last, number) if last else "" for number in numbers]
        values = [trial.changes.get(name) for name in space]
        plain = [v if isinstance(v, str) else json.dumps(v) for v in values]
        rows.writerow([trial.name, trial.end, *found, *plain, trial.why])
    write_bytes(path, text.getvalue().encode())
