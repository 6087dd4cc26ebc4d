"""What the folder of an experiment says, finished or not; no image is opened."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from platform import machine, python_version, system
from typing import Any

from infaug.config import RunConfig, in_mode, leaves
from infaug.data.problem import FINAL
from infaug.experiment.methods import methods_of
from infaug.experiment.summary import judge
from infaug.experiment.trainings import plan_trainings
from infaug.record.atomic import read_json
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

    @cached_property
    def summary(self) -> Line:
        """The result; while there is none, what `judge` makes of finished trainings."""
        return judge(self.found) if self.result is None else self.result

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
            names = [each.name for each in methods_of(self.config)]
            return [n for n in names if self.found.get(n) or not self.is_finished]
        begun = {line["method"] for line in self.metrics}
        return [name for name in METHODS if name in begun]

    def metrics_of(self, phase: str) -> list[Line]:
        """The lines of a phase, without candidates of `base_tuned` and fits of G."""
        return [
            m for m in self.metrics if m["phase"] == phase and m["method"] in METHODS
        ]


def read_experiment(path: Path, name: str) -> ExperimentData:
    """Read the folder of an experiment.

    Raises:
        ValueError: if it is none.
    """
    folder = RunFolder(path)
    kept = [n for n in ("config.json", "asked.json") if (path / n).exists()]
    if not kept:
        raise ValueError(
            f"{name} is no experiment of infaug: it has neither config.json nor "
            "asked.json; give the folder that `infaug fit --out` named"
        )
    config = folder.config(kept[0])
    results = [read_json(p) for p in sorted(path.glob("trainings/*/result.json"))]
    methods = [each.name for each in methods_of(config)] if folder.is_resolved else []
    planned = plan_trainings(config, methods_of(config), range(config.seeds))
    return ExperimentData(
        path=path,
        name=name,
        requested=folder.config(kept[-1]),
        config=config,
        is_resolved=folder.is_resolved,
        result=folder.result(),
        images=read_json(path / "data.json") or {},
        found={method: _by_seed(results, method) for method in methods},
        metrics=folder.lines("metrics.jsonl"),
        timings=folder.lines("timings.jsonl"),
        starts=folder.lines("starts.jsonl"),
        num_done=len(results),
        num_trainings=len(planned) if folder.is_resolved else None,
        as_of=_newest(path),
    )


def _by_seed(results: Sequence[Line], method: str) -> dict[int, Line]:
    mine = [r for r in results if r["method"] == method and r["seed"] != FINAL]
    return {found["seed"]: found for found in sorted(mine, key=lambda r: r["seed"])}


def _newest(path: Path) -> datetime:
    files = [path / name for name in ("result.json", "metrics.jsonl", "config.json")]
    times = [file.stat().st_mtime for file in files if file.exists()]
    return datetime.fromtimestamp(max(times, default=path.stat().st_mtime), UTC)


PACKAGES = ("infaug", "torch", "torchvision", "ray", "numpy", "pyarrow")


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One setting by its dotted name, with its default, and who set it."""

    name: str
    value: str
    default: str
    is_requested: bool
    """Set by the command; others that differ were `auto` and resolved by infaug."""

    @property
    def differs(self) -> bool:
        """Whether it is not the default."""
        return self.value != self.default


def settings_of(requested: RunConfig, resolved: RunConfig) -> list[Setting]:
    """Every setting of an experiment."""
    defaults, wanted = dict(leaves(RunConfig())), dict(leaves(requested))
    return [
        Setting(
            name=name,
            value=_typed(value),
            default=_typed(defaults[name]),
            is_requested=wanted[name] != defaults[name],
        )
        for name, value in leaves(resolved)
    ]


def _typed(value: Any) -> str:
    """A value as one would type it; floats that are whole have no point.

    >>> _typed(300.0), _typed(0.1), _typed(("a", "b")), _typed(None)
    ('300', '0.1', 'a b', 'none')
    """
    if isinstance(value, tuple):
        return " ".join(map(_typed, value)) or "none"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e9:
        return str(int(value))
    return "none" if value is None else str(value)


def command(requested: RunConfig, out: str) -> str:
    """The `infaug fit` that trains the same again, a flag a line."""
    preset = requested.mode
    defaults = dict(leaves(in_mode(RunConfig(), preset)))
    flags = [["--data", requested.data.source]]
    if requested.data.target_source:
        flags.append(["--target", requested.data.target_source])
    if preset != RunConfig().mode:
        flags.append(["--preset", preset])
    for name, value in leaves(requested):
        is_said = name in ("mode", "data.source", "data.target_source")
        if not is_said and value != defaults[name]:
            flags.append(_flag(name, value))
    flags.append(["--out", out])
    return " \\\n  ".join(["infaug fit", *map(shlex.join, flags)])


def _flag(name: str, value: Any) -> list[str]:
    flag = name.replace("_", "-")
    if isinstance(value, bool):
        part, dot, last = flag.rpartition(".")
        return [f"--{part}{dot}{'' if value else 'no-'}{last}"]
    if isinstance(value, tuple):
        return [f"--{flag}", *map(_typed, value)]
    return [f"--{flag}", "None" if value is None else _typed(value)]


def versions() -> list[tuple[str, str]]:
    """What a page was drawn with."""
    found = [("Python", f"{python_version()} on {system()} {machine()}")]
    for name in PACKAGES:
        try:
            found.append((name, version(name)))
        except PackageNotFoundError:
            continue
    return found


def differing(configs: Sequence[RunConfig]) -> list[tuple[str, list[str]]]:
    """Settings in which several experiments differ, with the value of each."""
    each = [dict(leaves(config)) for config in configs]
    values = {name: [_typed(leaf[name]) for leaf in each] for name in each[0]}
    return [(name, of) for name, of in values.items() if len(set(of)) > 1]
