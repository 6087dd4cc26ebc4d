"""What an experiment logged: curves of F, refreshes, reviews, time."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from infaug.report.facts import Facts, Line, kind_of
from infaug.report.words import PHASES, duration, number, power
from infaug.words import memory, plural

MAX_POINTS = 150  # of a curve; more of them cannot be told apart
MOST_LINES = 120  # of a table in the page; the files have all
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


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One number of training F, and how it is drawn."""

    key: str
    title: str
    y_label: str
    unit: str
    min_span: float
    """Least span of the vertical axis."""
    max_value: float = math.inf
    """No value lies above it."""


METRICS = (
    Metric(
        key="selection_top1",
        title="Accuracy on selection images",
        y_label="top-1, percent",
        unit="%",
        min_span=2.0,
        max_value=100.0,
    ),
    Metric(
        key="selection_loss",
        title="Loss on selection images",
        y_label="cross-entropy, nats",
        unit="nats",
        min_span=0.05,
    ),
    Metric(
        key="loss",
        title="Loss on the training views",
        y_label="cross-entropy, nats",
        unit="nats",
        min_span=0.05,
    ),
)


def curves(facts: Facts, key: str) -> Curves:
    """Means over seeds of a number that training F logged, by method and round of F.

    A point is the mean over the seeds that came so far; where some did not, those alone
    that came furthest count in the whole line.
    """
    steps = max(facts.config.rounds.classifier_steps, 1)
    found: dict[str, dict[int, list[tuple[float, float]]]] = {}
    for line in facts.metrics_of("classify"):
        if key in line:
            seeds = found.setdefault(line["row"], {})
            at = line["round"] + line["step"] / steps
            seeds.setdefault(line["seed"], []).append((at, line[key]))
    return {
        method: _thinned(_mean_line(list(found[method].values())))
        for method in facts.row_names
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


@dataclass(frozen=True, kw_only=True)
class Log:
    """A table: what it says as a whole, its columns and its lines."""

    says: Sequence[str]
    columns: Sequence[str]
    lines: Sequence[Sequence[Any]]
    num_lines: int
    """All of them; the table holds the last ones."""


def refreshes(facts: Facts) -> Log:
    """Every time s_val was solved for.

    Raises:
        ValueError: if it never was.
    """
    found = facts.metrics_of("refresh")
    if not found:
        raise ValueError("s_val was not solved for yet")
    times = {_key(t): t for t in facts.timings if t["phase"] == "refresh"}
    seconds = [times[_key(m)]["seconds"] for m in found if _key(m) in times]
    wanted = facts.config.influence.rtol
    failed = [m for m in found if m["residual"] > wanted]
    worst = max(m["residual"] for m in found)
    stale = [m.get("staleness", 0) for m in found]
    says = [
        plural(len(found), "refresh"),
        f"largest residual {number(worst, 4)} (asked for: {wanted:g})",
        f"{duration(sum(seconds))} in all",
        f"staleness {plural(max(stale), 'step')}" if max(stale) else "never stale",
        f"{plural(len(failed), 'solution')} did not converge"
        if failed
        else "all converged",
    ]
    columns = ("row", "seed", "round", "residual", "products", "seconds", "stale")
    lines = [_refresh_line(m, times.get(_key(m), {})) for m in found]
    return _log(says, columns, lines)


def _refresh_line(said: Line, time: Line) -> list[Any]:
    solved = time.get("solve_seconds")
    return [
        said["row"],
        said["seed"],
        # Before all rounds where s_val is solved once.
        said["round"] + 1 if said["round"] >= 0 else "before",
        power(said["residual"]),
        said["products"],
        "" if solved is None else number(solved, 2),
        said.get("staleness", 0),
    ]


def _key(line: Line) -> tuple[Any, ...]:
    return line["row"], line["seed"], line["round"]


def reviews(facts: Facts) -> Log:
    """Every look at whether the learned view was still sound.

    Raises:
        ValueError: if there was none.
    """
    found = facts.metrics_of("review")
    if not found:
        raise ValueError(
            "the learned view was not reviewed: it is after each round of E but the "
            "last, where s_val is solved more than once"
        )
    suspected = [m for m in found if m.get("suspected")]
    weakened = {(m["row"], m["seed"]) for m in found if m["strength"] < 1}
    says = [plural(len(found), "review")]
    says.append(
        f"collapse was suspected in {len(suspected)}"
        if suspected
        else "collapse was never suspected"
    )
    says += [
        f"{row} seed {seed} ended at strength {_last(found, row, seed):g}"
        for row, seed in sorted(weakened)
    ]
    columns = (
        "row", "seed", "round", "right on x", "right on x_aug", "tau at bounds",
        "fields at bounds", "strength", "suspected",
    )  # fmt: skip
    return _log(says, columns, [_review_line(m) for m in found])


def _last(found: Sequence[Line], row: str, seed: int) -> float:
    return [m for m in found if (m["row"], m["seed"]) == (row, seed)][-1]["strength"]


def _review_line(said: Line) -> list[Any]:
    shares = ("accuracy", "accuracy_aug", "saturation", "field_saturation")
    return [
        said["row"],
        said["seed"],
        said["round"] + 1,
        *(f"{100 * said[name]:.0f} %" if name in said else "" for name in shares),
        f"{said['strength']:g}",
        said.get("suspected", ""),
    ]


def _log(says: Sequence[str], columns: Sequence[str], lines: Sequence[Any]) -> Log:
    return Log(
        says=says, columns=columns, lines=lines[-MOST_LINES:], num_lines=len(lines)
    )


@dataclass(frozen=True, kw_only=True)
class Spent:
    """Where the time went."""

    total: float
    phases: Sequence["Share"]
    rows: Sequence["Share"]
    num_starts: int
    workers: Sequence[int]
    """Of each start, where that is known."""
    memory: Sequence[str]
    """The most that the first process held, of main memory and of its GPU."""


@dataclass(frozen=True, kw_only=True)
class Share:
    """A name, its seconds, its share of the total, and what those went to."""

    name: str
    seconds: float
    share: float
    parts: Sequence[tuple[str, str]] = ()


def spent(facts: Facts) -> Spent:
    """Seconds by phase and by row; repeated work counts twice.

    Raises:
        ValueError: if nothing was timed.
    """
    if not facts.timings:
        raise ValueError("no step has been timed yet")
    phases: dict[str, float] = defaultdict(float)
    parts: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    rows: dict[str, float] = defaultdict(float)
    for line in facts.timings:
        kind = kind_of(line["row"])
        phase = "tuning" if kind == "tuning" else line["phase"]
        phases[phase] += line["seconds"]
        rows["base_tuned" if kind == "tuning" else kind] += line["seconds"]
        for part, _ in PARTS:
            parts[phase][part] += line.get(f"{part}_seconds", 0.0)
    total = sum(phases.values())
    return Spent(
        total=total,
        phases=[
            Share(
                name=PHASES.get(phase, phase),
                seconds=seconds,
                share=seconds / total,
                parts=_parts(parts[phase]),
            )
            for phase, seconds in sorted(phases.items(), key=lambda item: -item[1])
        ],
        rows=[
            Share(name=row, seconds=seconds, share=seconds / total)
            for row, seconds in sorted(rows.items(), key=lambda item: -item[1])
        ],
        num_starts=len(facts.starts),
        workers=[start["workers"] for start in facts.starts if "workers" in start],
        memory=_memory(facts.timings),
    )


def _memory(timings: Sequence[Line]) -> list[str]:
    kinds = (("memory_gib", "of main memory"), ("gpu_gib", "of its GPU for tensors"))
    most = {key: [line[key] for line in timings if key in line] for key, _ in kinds}
    return [f"{memory(max(most[key]))} {where}" for key, where in kinds if most[key]]


def _parts(seconds: dict[str, float]) -> list[tuple[str, str]]:
    """What a phase's time went to; nothing for runs that did not say."""
    return [
        (said, duration(seconds[part])) for part, said in PARTS if seconds[part] >= 0.05
    ]
