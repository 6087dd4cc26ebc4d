"""What a run folder says of a run, finished or still going; no image is opened."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from infaug.config import RunConfig
from infaug.data.problem import FINAL
from infaug.experiment.trainings import plan_trainings
from infaug.experiment.tuning import TRIAL
from infaug.record.folder import RunFolder
from infaug.training.methods import GENERATOR, METHODS, methods_of

Line = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Facts:
    """A run as its files tell it; whatever is not there yet is empty."""

    path: Path
    name: str
    """As the user named it."""
    asked: RunConfig
    config: RunConfig
    """Settled; while it is not, as asked."""
    is_settled: bool
    result: Line | None
    """None while the run is not finished."""
    data: Line
    """Which images it is about."""
    found: Mapping[str, Mapping[int, Line]]
    """What finished cells found, by row of the table and seed."""
    metrics: Sequence[Line]
    timings: Sequence[Line]
    starts: Sequence[Line]
    num_done: int
    """Finished cells; the candidates of `base_tuned` and fitting G are cells, too."""
    num_trainings: int | None
    """All cells; None while it is not settled which are run."""
    as_of: datetime
    """When the run last wrote something."""

    @property
    def is_finished(self) -> bool:
        """Whether all cells are done and summed up."""
        return self.result is not None

    @property
    def row_names(self) -> list[str]:
        """Rows of the table, in its order; those begun while it is not settled.

        Of a run that finished before there were all of today's rows, those it has.
        """
        if self.is_settled:
            rows = [row.name for row in methods_of(self.config)]
            return [n for n in rows if self.found.get(n) or not self.is_finished]
        begun = {line["row"] for line in self.metrics}
        return [name for name in METHODS if name in begun]

    def metrics_of(self, phase: str) -> list[Line]:
        """The lines of a phase; candidates of `base_tuned` and G's fit left out."""
        return [m for m in self.metrics if m["phase"] == phase and m["row"] in METHODS]


def read_facts(path: Path, name: str) -> Facts:
    """The facts of a run folder.

    Raises:
        ValueError: if it is none.
    """
    folder = RunFolder(path)
    kept = [n for n in ("config.json", "asked.json") if (path / n).exists()]
    if not kept:
        raise ValueError(
            f"{name} is no run of infaug: it has neither config.json nor asked.json; "
            "give the folder that `infaug fit --out` named"
        )
    config, asked = folder.config(kept[0]), folder.config(kept[-1])
    results = [_read(p) for p in sorted(path.glob("trainings/*/result.json"))]
    rows = [row.name for row in methods_of(config)] if folder.is_settled else []
    return Facts(
        path=path,
        name=name,
        asked=asked,
        config=config,
        is_settled=folder.is_settled,
        result=folder.result(),
        data=_read(path / "data.json") if (path / "data.json").exists() else {},
        found={row: _by_seed(results, row) for row in rows},
        metrics=folder.lines("metrics.jsonl"),
        timings=folder.lines("timings.jsonl"),
        starts=folder.lines("starts.jsonl"),
        num_done=len(results),
        num_trainings=_num_cells(config) if folder.is_settled else None,
        as_of=_newest(path),
    )


def _by_seed(results: Sequence[Line], row: str) -> dict[int, Line]:
    mine = [r for r in results if r["row"] == row and r["seed"] != FINAL]
    return {found["seed"]: found for found in sorted(mine, key=lambda r: r["seed"])}


def _num_cells(config: RunConfig) -> int:
    return len(plan_trainings(config, methods_of(config), range(config.seeds)))


def _read(path: Path) -> Line:
    return json.loads(path.read_text())


def _newest(path: Path) -> datetime:
    files = [path / name for name in ("result.json", "metrics.jsonl", "config.json")]
    times = [file.stat().st_mtime for file in files if file.exists()]
    return datetime.fromtimestamp(max(times, default=path.stat().st_mtime), UTC)


def kind_of(row: str) -> str:
    """`tuning` for a candidate of `base_tuned`, `generator`, or the row itself."""
    if row.startswith(TRIAL):
        return "tuning"
    return "generator" if row == GENERATOR.name else row
