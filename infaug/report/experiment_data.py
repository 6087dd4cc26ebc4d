"""What the folder of an experiment says, finished or not; no image is opened."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from infaug.config import RunConfig
from infaug.data.problem import FINAL
from infaug.experiment.methods import methods_of
from infaug.experiment.trainings import plan_trainings
from infaug.record.folder import RunFolder
from infaug.training.methods import METHODS

Line = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class ExperimentData:
    """An experiment as its files describe it; whatever is not there yet is empty."""

    path: Path
    name: str
    """As the user named it."""
    requested: RunConfig
    config: RunConfig
    """Resolved; before that, as requested."""
    is_resolved: bool
    result: Line | None
    """None while the experiment is not finished."""
    images: Line
    """Which images it is about."""
    found: Mapping[str, Mapping[int, Line]]
    """What finished trainings found, by method and seed."""
    metrics: Sequence[Line]
    timings: Sequence[Line]
    starts: Sequence[Line]
    num_done: int
    """Finished trainings; candidates of `base_tuned` and fits of G are trainings."""
    num_trainings: int | None
    """All trainings; None while the config is not resolved."""
    as_of: datetime
    """When the experiment last wrote something."""

    @property
    def is_finished(self) -> bool:
        """Whether all trainings are done and summed up."""
        return self.result is not None

    @property
    def is_folded(self) -> bool:
        """Whether target images were judged out of fold."""
        return bool(self.config.data.folds)

    @property
    def methods(self) -> list[str]:
        """Methods in the order of the plan; while it is not resolved, those begun.

        Of an experiment that finished before a method existed, those it has.
        """
        if self.is_resolved:
            names = [row.name for row in methods_of(self.config)]
            return [n for n in names if self.found.get(n) or not self.is_finished]
        begun = {line["row"] for line in self.metrics}
        return [name for name in METHODS if name in begun]

    def metrics_of(self, phase: str) -> list[Line]:
        """The lines of a phase, without candidates of `base_tuned` and fits of G."""
        return [m for m in self.metrics if m["phase"] == phase and m["row"] in METHODS]


def read_experiment(path: Path, name: str) -> ExperimentData:
    """Read the folder of an experiment."""
    folder = RunFolder(path)
    kept = [n for n in ("config.json", "asked.json") if (path / n).exists()]
    if not kept:
        raise ValueError(
            f"{name} is no experiment of infaug: it has neither config.json nor "
            "asked.json; give the folder that `infaug fit --out` named"
        )
    config = folder.config(kept[0])
    results = [_read(p) for p in sorted(path.glob("trainings/*/result.json"))]
    methods = [row.name for row in methods_of(config)] if folder.is_resolved else []
    planned = plan_trainings(config, methods_of(config), range(config.seeds))
    return ExperimentData(
        path=path,
        name=name,
        requested=folder.config(kept[-1]),
        config=config,
        is_resolved=folder.is_resolved,
        result=folder.result(),
        images=_read(path / "data.json") if (path / "data.json").exists() else {},
        found={method: _by_seed(results, method) for method in methods},
        metrics=folder.lines("metrics.jsonl"),
        timings=folder.lines("timings.jsonl"),
        starts=folder.lines("starts.jsonl"),
        num_done=len(results),
        num_trainings=len(planned) if folder.is_resolved else None,
        as_of=_newest(path),
    )


def _by_seed(results: Sequence[Line], method: str) -> dict[int, Line]:
    mine = [r for r in results if r["row"] == method and r["seed"] != FINAL]
    return {found["seed"]: found for found in sorted(mine, key=lambda r: r["seed"])}


def _read(path: Path) -> Line:
    return json.loads(path.read_text())


def _newest(path: Path) -> datetime:
    files = [path / name for name in ("result.json", "metrics.jsonl", "config.json")]
    times = [file.stat().st_mtime for file in files if file.exists()]
    return datetime.fromtimestamp(max(times, default=path.stat().st_mtime), UTC)
