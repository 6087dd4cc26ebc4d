"""What an experiment logged: curves of F, refreshes, reviews, time."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from infaug.experiment.tuning import TRIAL
from infaug.report.experiment_data import ExperimentData, Line
from infaug.report.words import PHASES, duration, number
from infaug.training.methods import GENERATOR
from infaug.words import memory, plural

MAX_POINTS = 150  # of a curve; more of them cannot be told apart
MAX_LINES = 120  # of a table in the page; the files have all
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
            seeds = found.setdefault(line["row"], {})
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
    """How well s_val was solved for, in a few words each."""
    found = experiment.metrics_of("refresh")
    if not found:
        raise ValueError("s_val was not solved for yet")
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


@dataclass(frozen=True, kw_only=True)
class Reviews:
    """A table of reviews, and what it shows as a whole."""

    summary: Sequence[str]
    columns: Sequence[str]
    lines: Sequence[Sequence[Any]]
    num_lines: int
    """All of them; the table holds the last ones."""


def reviews(experiment: ExperimentData) -> Reviews:
    """Every look at whether the learned view was still sound."""
    found = experiment.metrics_of("review")
    if not found:
        raise ValueError(
            "the learned view was not reviewed: it is after each round of E but the "
            "last, where s_val is solved more than once"
        )
    num_suspected = sum(bool(m.get("suspected")) for m in found)
    last = {(m["row"], m["seed"]): m["strength"] for m in found}
    suspected = f"collapse was suspected in {num_suspected}"
    summary = [
        plural(len(found), "review"),
        suspected if num_suspected else "collapse was never suspected",
        *(
            f"{method} seed {seed} ended at strength {strength:g}"
            for (method, seed), strength in sorted(last.items())
            if strength < 1
        ),
    ]
    columns = (
        "method", "seed", "round", "right on x", "right on x_aug", "tau at bounds",
        "fields at bounds", "strength", "suspected",
    )  # fmt: skip
    lines = [_review_line(m) for m in found]
    return Reviews(
        summary=summary,
        columns=columns,
        lines=lines[-MAX_LINES:],
        num_lines=len(lines),
    )


def _review_line(review: Line) -> list[Any]:
    shares = ("accuracy", "accuracy_aug", "saturation", "field_saturation")
    return [
        review["row"],
        review["seed"],
        review["round"] + 1,
        *(f"{100 * review[name]:.0f} %" if name in review else "" for name in shares),
        f"{review['strength']:g}",
        review.get("suspected", ""),
    ]


@dataclass(frozen=True)
class Share:
    """A name, its seconds, its share of the total, and what those went to."""

    name: str
    seconds: float
    share: float
    parts: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, kw_only=True)
class Spent:
    """Where the time went."""

    total: float
    phases: Sequence[Share]
    methods: Sequence[Share]
    memory: Sequence[str]
    """The most that the first process held, of main memory and of its GPU."""


def spent(experiment: ExperimentData) -> Spent:
    """Seconds by phase and by method; repeated work counts twice."""
    if not experiment.timings:
        raise ValueError("no step has been timed yet")
    phases: dict[str, float] = defaultdict(float)
    parts: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    methods: dict[str, float] = defaultdict(float)
    for line in experiment.timings:
        is_trial = line["row"].startswith(TRIAL)
        phase = "tuning" if is_trial else line["phase"]
        method = "base_tuned" if is_trial else line["row"]
        phases[phase] += line["seconds"]
        methods["generator" if method == GENERATOR.name else method] += line["seconds"]
        for part, _ in PARTS:
            parts[phase][part] += line.get(f"{part}_seconds", 0.0)
    total = sum(phases.values())

    def shares(seconds: Mapping[str, float]) -> list[Share]:
        ordered = sorted(seconds.items(), key=lambda item: -item[1])
        return [
            Share(PHASES.get(name, name), of, of / total, _parts(parts.get(name, {})))
            for name, of in ordered
        ]

    return Spent(
        total=total,
        phases=shares(phases),
        methods=shares(methods),
        memory=_memory(experiment.timings),
    )


def _parts(seconds: Mapping[str, float]) -> list[tuple[str, str]]:
    """What a phase's time went to; nothing for trainings that did not say."""
    return [
        (text, duration(seconds[part]))
        for part, text in PARTS
        if seconds.get(part, 0) >= 0.05
    ]


def _memory(timings: Sequence[Line]) -> list[str]:
    kinds = (("memory_gib", "of main memory"), ("gpu_gib", "of its GPU for tensors"))
    held = {key: [line[key] for line in timings if key in line] for key, _ in kinds}
    return [f"{memory(max(held[key]))} {where}" for key, where in kinds if held[key]]
