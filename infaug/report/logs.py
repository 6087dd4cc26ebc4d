"""What an experiment logged: curves of F, refreshes, reviews, time, every number."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, NamedTuple

from infaug.config import RoundsConfig
from infaug.experiment.methods import methods_of
from infaug.experiment.trainings import TRIAL, plan_trainings
from infaug.record.folder import RunFolder
from infaug.record.steps import Position, global_step
from infaug.report.experiment_data import ExperimentData, Line
from infaug.report.words import PHASES, duration, number
from infaug.training.methods import GENERATOR
from infaug.words import memory, plural

MAX_POINTS = 150  # of a curve; more of them cannot be told apart
PARTS = (
    ("own", "its own work"),
    ("data", "waiting for images"),
    ("views", "making views"),
    ("s_val", "features and s_val"),
    ("selection", "assessing selection"),
    ("peers", "waiting for workers"),
    ("checkpoint", "checkpoints"),
    ("record", "records"),
)

Curves = Mapping[str, Sequence[tuple[float, float]]]


@dataclass(frozen=True)
class Metric:
    """One number of training F, and how it is drawn."""

    key: str
    title: str
    y_label: str
    unit: str
    min_span: float
    """Of the vertical axis."""
    max_value: float = math.inf
    """No value lies above it."""


NATS = ("cross-entropy, nats", "nats", 0.05)
METRICS = (
    Metric("selection_top1", "Accuracy on selection images", "top-1, percent", "%", 2.0,
           100.0),
    Metric("selection_loss", "Loss on selection images", *NATS),
    Metric("loss", "Loss on the training views", *NATS),
)  # fmt: skip


def curves(experiment: ExperimentData, key: str) -> Curves:
    """Means over seeds of a number that training F logged, by method and round of F.

    A point is the mean over the seeds that came so far; where some did not, those alone
    that came furthest count in the whole line.
    """
    steps = max(experiment.config.rounds.classifier_steps, 1)
    found: dict[str, dict[int, list[tuple[float, float]]]] = {}
    for line in experiment.metrics_of("classify"):
        if key in line:
            seeds = found.setdefault(line["method"], {})
            at = line["round"] + line["step"] / steps
            seeds.setdefault(line["seed"], []).append((at, line[key]))
    return {
        method: _thinned(_mean_line(list(found[method].values())))
        for method in experiment.methods
        if method in found
    }


def _mean_line(
    seeds: Sequence[Sequence[tuple[float, float]]],
) -> list[tuple[float, float]]:
    furthest = max(len(points) for points in seeds)
    whole = [points for points in seeds if len(points) == furthest]
    return [
        (column[0][0], fmean(y for _, y in column))
        for column in zip(*whole, strict=True)
    ]


def _thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most `MAX_POINTS`, means of neighbours."""
    size = -(-len(points) // MAX_POINTS)
    parts = [points[k : k + size] for k in range(0, len(points), size)]
    return [(part[-1][0], fmean(y for _, y in part)) for part in parts]


def refreshes(experiment: ExperimentData) -> list[str]:
    """How well s_val was solved for, in a few words each.

    Raises:
        ValueError: if it never was.
    """
    found = experiment.metrics_of("refresh")
    if not found:
        raise ValueError("s_val was not solved for")
    seconds = sum(t["seconds"] for t in experiment.timings if t["phase"] == "refresh")
    rtol = experiment.config.influence.rtol
    num_failed = sum(m["residual"] > rtol for m in found)
    stale = max(m.get("staleness", 0) for m in found)
    worst = max(m["residual"] for m in found)
    failed = f"{plural(num_failed, 'solution')} did not converge"
    return [
        plural(len(found), "refresh"),
        f"largest residual {number(worst, 4)} (requested: {rtol:g})",
        f"{duration(seconds)} in all",
        f"staleness {plural(stale, 'step')}" if stale else "never stale",
        failed if num_failed else "all converged",
    ]


def reviews(experiment: ExperimentData) -> list[str]:
    """Whether the learned view was still sound each time it was looked at.

    Raises:
        ValueError: if there was none.
    """
    found = experiment.metrics_of("review")
    if not found:
        return [
            "not reviewed: it is after each round of E but the last, where s_val is "
            "solved more than once"
        ]
    num_suspected = sum(bool(m.get("suspected")) for m in found)
    last = {(m["method"], m["seed"]): m["strength"] for m in found}
    return [
        plural(len(found), "review"),
        f"collapse was suspected in {num_suspected or 'none'}",
        *(
            f"{method} seed {seed} ended at strength {strength:g}"
            for (method, seed), strength in sorted(last.items())
            if strength < 1
        ),
    ]


def spent(experiment: ExperimentData) -> Mapping[str, Any]:
    """Seconds by phase and by method, and memory; repeated work counts twice.

    Raises:
        ValueError: if nothing was timed.
    """
    if not experiment.timings:
        raise ValueError("no step has been timed yet")
    phases: dict[str, float] = defaultdict(float)
    parts: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    methods: dict[str, float] = defaultdict(float)
    for line in experiment.timings:
        is_trial = line["method"].startswith(TRIAL)
        phase = "tuning" if is_trial else line["phase"]
        phase = PHASES.get(phase, phase)
        method = "base_tuned" if is_trial else line["method"]
        phases[phase] += line["seconds"]
        methods["generator" if method == GENERATOR.name else method] += line["seconds"]
        for part, text in PARTS:
            parts[phase][text] += line.get(f"{part}_seconds", 0.0)
    starts = experiment.starts
    return {
        "total": sum(phases.values()),
        "phases": _longest_first(phases),
        "methods": _longest_first(methods),
        "parts": {
            name: [f"{text} {duration(s)}" for text, s in of.items() if s >= 0.05]
            for name, of in parts.items()
        },
        "memory": _memory(experiment.timings),
        "num_again": len(starts) - len({(s["method"], s["seed"]) for s in starts}),
    }


def _longest_first(seconds: Mapping[str, float]) -> list[tuple[str, float]]:
    return sorted(seconds.items(), key=lambda item: -item[1])


def _memory(timings: Sequence[Line]) -> list[str]:
    """The most that the first process held, of main memory and of its GPU."""
    kinds = (("memory_gib", "of main memory"), ("gpu_gib", "of its GPU for tensors"))
    held = {key: [line[key] for line in timings if key in line] for key, _ in kinds}
    return [f"{memory(max(held[key]))} {where}" for key, where in kinds if held[key]]


LABELS = ("method", "seed", "round", "phase", "step", "metrics_bytes")
Points = list[tuple[str, float, int]]  # name, value, step


class LoggedTraining(NamedTuple):
    """A training that has begun, in numbers."""

    method: str
    seed: int
    points: Points
    """PHASE/NAME, value, and the place on TensorBoard's axis."""
    result: Mapping[str, float] | None
    """The numbers it ended with; None while it is not finished."""
    seconds: float


def trainings_of(experiment: ExperimentData) -> dict[str, LoggedTraining]:
    """Those that have begun, as their folders are called, in the order of the plan."""
    config, folder = experiment.config, RunFolder(experiment.path)
    planned = plan_trainings(config, methods_of(config), range(config.seeds))
    # A candidate of `base_tuned` has rounds of its own.
    rounds = {(each.method.name, each.seed): each.config.rounds for each in planned}
    begun = dict.fromkeys(
        [*rounds, *((m["method"], m["seed"]) for m in experiment.metrics)]
    )
    found = {}
    for method, seed in begun:
        name, axis = f"{method}-seed{seed}", rounds.get((method, seed), config.rounds)
        lines, timings = (
            [each for each in of if (each["method"], each["seed"]) == (method, seed)]
            for of in (experiment.metrics, experiment.timings)
        )
        result = folder.training_result(method, seed)
        points = [point for line in lines for point in _points(line, axis)]
        if result is not None or points:
            ended = None if result is None else _numbers(result)
            spent = seconds_of(timings)
            found[name] = LoggedTraining(method, seed, points, ended, spent)
    return found


def _points(line: Line, rounds: RoundsConfig) -> Points:
    phase = line["phase"]
    at = Position(round=line["round"], phase=phase, step=line["step"])
    step = global_step(at, rounds)
    return [(f"{phase}/{name}", v, step) for name, v in _numbers(line).items()]


def _numbers(line: Mapping[str, Any]) -> dict[str, float]:
    """What of a line is a number.

    >>> _numbers({"method": "base", "loss": 1, "status": "fine", "by_class": [1]})
    {'loss': 1.0}
    """
    return {
        name: float(value)
        for name, value in line.items()
        if name not in LABELS and isinstance(value, int | float)
    }


def seconds_of(timings: Sequence[Line]) -> float:
    """What was timed, in all."""
    return sum(line["seconds"] for line in timings)
