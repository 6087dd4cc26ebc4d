"""What of a run an experiment tracker is told: settings, curves, numbers, files."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from infaug.config import RoundsConfig
from infaug.experiment.cells import plan_cells
from infaug.experiment.verdict import Verdict
from infaug.record.folder import RunFolder
from infaug.record.place import Place, position
from infaug.report.facts import Facts, Line
from infaug.report.settings import settings_of, versions
from infaug.report.standing import standings
from infaug.report.verdict import describe
from infaug.storage import Location, is_url, location
from infaug.training.rows import rows_of

LABELS = ("row", "seed", "round", "phase", "step")
# Of a finished cell's result: how it is kept, not what it found.
BOOKS = ("row", "seed", "metrics_bytes")
# Settings that may grow as a run is continued: parameters of a tracker never change.
GROWING = ("seeds",)


@dataclass(frozen=True, kw_only=True)
class Logged:
    """A line of metrics.jsonl: its numbers, as PHASE/NAME."""

    position: int
    """See `place.position`: the axis that TensorBoard has, too."""
    numbers: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class TrackedCell:
    """A row and seed, finished or not."""

    row: str
    seed: int
    lines: Sequence[Logged]
    found: Mapping[str, float] | None
    """The numbers it ended with; None while it is not finished."""
    seconds: float

    @property
    def name(self) -> str:
        """As its folder is called."""
        return f"{self.row}-seed{self.seed}"

    @property
    def position(self) -> int:
        """Of its last line."""
        return self.lines[-1].position if self.lines else 0


@dataclass(frozen=True, kw_only=True)
class Tracked:
    """A run as an experiment tracker is told of it."""

    mark: str
    """The same for the same run, wherever its folder lies by now."""
    title: str
    """The folder's name."""
    settings: Mapping[str, str]
    about: Mapping[str, str]
    """Words: where it is, which infaug tells of it, what came of it."""
    found: Mapping[str, float]
    """Means over finished seeds: test_top1/ROW (percent) and test_loss/ROW (nats)."""
    cells: Sequence[TrackedCell]
    files: Sequence[Path]
    seconds: float


def tracked(facts: Facts) -> Tracked:
    """All that there is to tell of a run by now.

    Raises:
        ValueError: if it has not taken a step yet.
    """
    if not facts.is_settled or not (facts.timings or facts.is_finished):
        raise ValueError(
            f"{facts.name} has not begun to train: there is nothing to send yet, give "
            "the same command again when it has"
        )
    return Tracked(
        mark=_mark(facts),
        title=_place(facts).name,
        settings={
            each.name: each.value
            for each in settings_of(facts.asked, facts.config)
            if each.name not in GROWING
        },
        about=_about(facts),
        found=_found(facts),
        cells=_cells(facts),
        files=_files(facts.path),
        seconds=_seconds(facts.timings),
    )


def _mark(facts: Facts) -> str:
    """Of settings that stay, images, and the first seconds that were measured.

    These no other run has, not even one of the same settings in the same place, and
    they stay when the run goes on elsewhere. Runs of older days may have none.
    """
    began = facts.timings[0] if facts.timings else str(facts.path.absolute())
    config = json.loads((facts.path / "config.json").read_text())
    stays = {name: value for name, value in config.items() if name not in GROWING}
    text = json.dumps([stays, facts.data, began], sort_keys=True)
    return blake2b(text.encode(), digest_size=10).hexdigest()


def _about(facts: Facts) -> dict[str, str]:
    about = {
        "infaug.version": dict(versions())["infaug"],
        "infaug.place": _place(facts).absolute,
        "infaug.seeds": str(facts.config.seeds),
    }
    if facts.result is not None:
        about["infaug.verdict"] = describe(Verdict.from_dict(facts.result["verdict"]))
    return about


def _place(facts: Facts) -> Location:
    kept = facts.name if is_url(facts.name) else str(facts.path.absolute())
    return location(kept)


def _found(facts: Facts) -> dict[str, float]:
    found = {}
    for each in standings(facts):
        if each.mean is not None:
            found[f"test_top1/{each.row}"] = each.mean
        if each.test_loss is not None:
            found[f"test_loss/{each.row}"] = each.test_loss
    return found


def _cells(facts: Facts) -> list[TrackedCell]:
    """Those that have begun, in the order in which they run."""
    planned = plan_cells(facts.config, rows_of(facts.config), range(facts.config.seeds))
    rounds = {(cell.row.name, cell.seed): cell.config.rounds for cell in planned}
    lines, timings = _by_cell(facts.metrics), _by_cell(facts.timings)
    folder, cells = RunFolder(facts.path), []
    for row, seed in dict.fromkeys([*rounds, *lines]):
        result = folder.cell_result(row, seed)
        mine = lines.get((row, seed), [])
        if result is None and not mine:
            continue
        axis = rounds.get((row, seed), facts.config.rounds)
        cell = TrackedCell(
            row=row,
            seed=seed,
            lines=[_logged(line, axis) for line in mine],
            found=None if result is None else _numbers(result, BOOKS),
            seconds=_seconds(timings.get((row, seed), [])),
        )
        cells.append(cell)
    return cells


def _by_cell(lines: Sequence[Line]) -> dict[tuple[str, int], list[Line]]:
    found: dict[tuple[str, int], list[Line]] = {}
    for line in lines:
        found.setdefault((line["row"], line["seed"]), []).append(line)
    return found


def _logged(line: Line, rounds: RoundsConfig) -> Logged:
    phase = line["phase"]
    place = Place(round=line["round"], phase=phase, step=line["step"])
    numbers = _numbers(line, LABELS)
    return Logged(
        position=position(place, rounds),
        numbers={f"{phase}/{name}": value for name, value in numbers.items()},
    )


def _numbers(line: Mapping[str, Any], but: Sequence[str]) -> dict[str, float]:
    """What of a line is a number.

    >>> _numbers({"row": "base", "loss": 1, "status": "fine", "by_class": [1]}, ["row"])
    {'loss': 1.0}
    """
    return {
        name: float(value)
        for name, value in line.items()
        if name not in but and isinstance(value, int | float)
    }


def _files(run: Path) -> list[Path]:
    named = [run / "config.json", run / "result.json", *sorted(run.glob("*.png"))]
    return [path for path in named if path.exists()]


def _seconds(timings: Sequence[Line]) -> float:
    return sum(line["seconds"] for line in timings)
