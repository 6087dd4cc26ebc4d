"""Running one cell of a table, in a folder of its own, and all of them in turn."""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from infaug.comparison.cells import plan_cells
from infaug.comparison.grid import Work
from infaug.comparison.plan import settle
from infaug.comparison.results import Record
from infaug.comparison.run import run_planned
from infaug.comparison.tuning import TRIAL
from infaug.config import DataConfig
from infaug.data.problem import positions
from infaug.data.source import Source, load
from infaug.precision import pick_device
from infaug.record.folder import RunFolder
from infaug.record.journal import read_lines
from infaug.rows import ROWS
from infaug.world import World


@dataclass(frozen=True, kw_only=True)
class Site:
    """Where cells of tables run.

    Attributes:
        source: where the images lie, as `data.source`.
        work: folder for the cells' run folders, which unfinished cells continue from.
    """

    source: str
    work: Path


def run_here(works: Sequence[Work], site: Site, *, shown: bool) -> Iterator[Record]:
    """Run cells one after another in this process, yielding what each found."""
    for work in works:
        yield run_grid_cell(work, site, shown=shown)


def run_grid_cell(work: Work, site: Site, *, shown: bool) -> Record:
    """Run a cell, or continue it from its last checkpoint, and say what it found.

    A cell that needs another's G shares that one's folder and runs it first if it is
    not there.

    Returns:
        "key", "row", "seed"; "config", every setting that matters to the cell;
        "precision" as settled; "seconds", with "tuning_seconds" of them for choosing;
        losses and accuracies; what `base_tuned` chose from.

    Raises:
        ValueError: whatever `comparison.run` refuses, and training images that differ
            between the problems for which the result would stand.
    """
    # All that it stands for are alike in whatever the cell's numbers depend on.
    cell, data = work.cell, work.stands_for[0]
    home = cell.needs or cell
    folder = RunFolder(site.work / f"{home.row}-seed{cell.seed}-{home.key}")
    folder.enter(cell.config)
    with folder.locked():
        source = _loaded(_reading(data, site.source))
        check_shared(source, work.stands_for, cell.seed)
        device = pick_device()
        config = replace(cell.config, data=data)
        settled = settle(config, source.train.image_shape, device)
        rows = dict.fromkeys((home.row, cell.row))
        planned = plan_cells(settled, [ROWS[row] for row in rows], [cell.seed])
        run_planned(planned, source, folder, World(), device, shown=shown)
        shutil.rmtree(folder.checkpoints, ignore_errors=True)
    found = folder.found(cell.row, cell.seed)
    return {
        "key": cell.key,
        "row": cell.row,
        "seed": cell.seed,
        "config": cell.settings,
        "precision": settled.classifier.precision,
        **_seconds(folder, cell.row),
        **{k: v for k, v in found.items() if k not in ("row", "seed", "metrics_bytes")},
    }


@lru_cache(maxsize=1)
def _loaded(reading: DataConfig) -> Source:
    """One process runs many cells of the same images: they are decoded once."""
    return load(reading)


def _reading(data: DataConfig, source: str) -> DataConfig:
    """Of the data settings only those that `load` looks at."""
    return DataConfig(
        source=source,
        target_source=data.target_source,
        test_from=data.test_from,
        image_size=data.image_size,
        mode=data.mode,
        image_column=data.image_column,
        label_column=data.label_column,
        path_column=data.path_column,
        split_column=data.split_column,
        max_bad_images=data.max_bad_images,
    )


def check_shared(source: Source, problems: Sequence[DataConfig], seed: int) -> None:
    """Refuse to share a result between problems that train on different images."""
    trains = [positions(source, data, seed).train for data in problems]
    if any(not train.equal(trains[0]) for train in trains[1:]):
        targets = ", ".join(f"{data.target:g}" for data in problems)
        raise ValueError(
            f"data.labels {problems[0].labels:g} and data.target {targets} exhaust a "
            "class, so the training images differ between them: lower one of the two"
        )


def _seconds(folder: RunFolder, row: str) -> dict[str, float]:
    """Training seconds of a row; work that a kill made run twice counts twice."""
    lines = read_lines(folder.path / "timings.jsonl")
    own = sum((x["seconds"] for x in lines if x["row"] == row), 0.0)
    tuning = sum((x["seconds"] for x in lines if x["row"].startswith(TRIAL)), 0.0)
    seconds = {"seconds": round(own + tuning, 2)}
    return seconds | ({"tuning_seconds": round(tuning, 2)} if tuning else {})
