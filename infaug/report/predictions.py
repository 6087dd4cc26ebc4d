"""Predicted against refitted changes of the validation loss, from a run's JSON file."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from infaug.report.svg import WIDTH, Axis, around, dot, drawing, frame, line
from infaug.report.words import number
from infaug.words import plural

HEIGHT = 300
PANELS = (
    ("refitted", "at the refitted head, where the theory holds"),
    ("live", "as the run predicts, with F's own head"),
)


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One scatter and its measures of agreement."""

    title: str
    chart: Markup
    measures: str


@dataclass(frozen=True, kw_only=True)
class Checked:
    """A check of the predictions that a run did."""

    row: str
    seed: int
    samples: int
    num_train: int
    panels: Sequence[Panel]


def checks_in(run: Path) -> list[Checked]:
    """Every check that a run's folder holds.

    Raises:
        ValueError: if it holds none.
    """
    found = [_checked(json.loads(p.read_text())) for p in _files(run)]
    if not found:
        raise ValueError(
            f"no check was made yet: infaug influence validate {run} makes one"
        )
    return found


def _files(run: Path) -> list[Path]:
    return sorted(run.glob("influence-*.json"))


def _checked(found: Mapping[str, Any]) -> Checked:
    actual = found["actual"]
    return Checked(
        row=found["row"],
        seed=found["seed"],
        samples=found["samples"],
        num_train=found["num_train"],
        panels=[
            Panel(
                title=title,
                chart=_scatter(found[name]["predicted"], actual, title),
                measures=_measures(found[name]),
            )
            for name, title in PANELS
        ],
    )


def _measures(found: Mapping[str, float]) -> str:
    return (
        f"Pearson {number(found['pearson'], 3)}, Spearman "
        f"{number(found['spearman'], 3)}, slope {number(found['slope'])}, "
        f"signs {100 * found['sign_agreement']:.0f} %"
    )


def _scatter(predicted: Sequence[float], actual: Sequence[float], title: str) -> Markup:
    """Both axes alike, in thousandths of a nat, with the line on which they agree."""
    xs, ys = ([1000 * v for v in values] for values in (predicted, actual))
    low, high = around([*xs, *ys, 0.0])
    x = Axis(low=low, high=high, start=44, end=WIDTH - 10, most=7)
    y = Axis(low=low, high=high, start=HEIGHT - 36, end=20, most=7)
    parts = [
        frame(x, y, "predicted, nats / 1000", "head refitted, nats / 1000"),
        line([(x.at(low), y.at(low)), (x.at(high), y.at(high))], "zero"),
        *(dot(x.at(a), y.at(b), "sample", 3.2) for a, b in zip(xs, ys, strict=True)),
    ]
    label = f"Predicted {title} against refitted: {plural(len(xs), 'image')}"
    return drawing(label, HEIGHT, parts)
