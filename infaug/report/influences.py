"""What the page shows of influences: predicted against refitted, the extremes."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from markupsafe import Markup

from infaug.report.figures import draw_agreement
from infaug.report.gallery import Pixels, picture
from infaug.report.words import number, power
from infaug.trust.rank import extremes, rank, ranked_view
from infaug.trust.reload import Finished

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
                chart=draw_agreement(found[name]["predicted"], actual, title),
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


NUM = 6
PIXELS = 2000 * 32 * 32  # ranked images hold no more of them
FEWEST = 100


@dataclass(frozen=True, kw_only=True)
class Extreme:
    """A training image and its view, with what replacing one by the other predicts."""

    class_name: str
    before: Pixels
    after: Pixels
    change: Markup
    """Predicted change of the validation loss, nats."""


@dataclass(frozen=True, kw_only=True)
class Extremes:
    """Both ends of the ranking, and how many views were ranked."""

    helpful: Sequence[Extreme]
    harmful: Sequence[Extreme]
    num_ranked: int
    num_train: int
    helps: float
    """Share of the ranked views that are predicted to help."""


def rank_views(finished: Finished, run: Path) -> Extremes:
    """The ranking that `infaug influence rank` left in the run, or one made now.

    One made now is of a sample where there are many images, or large ones.

    Raises:
        ValueError: if s_val cannot be solved for.
    """
    path = run / f"influence-{finished.name}.parquet"
    most = None
    if path.exists():
        table = pq.read_table(path)
    else:
        most = _most(finished)
        table = rank(finished, max_images=most)
    helpful, harmful = extremes(table, "augmentation", NUM)
    views = [line for line in table.to_pylist() if line["kind"] == "augmentation"]
    return Extremes(
        helpful=[_extreme(finished, line, most) for line in helpful.to_pylist()],
        harmful=[_extreme(finished, line, most) for line in harmful.to_pylist()],
        num_ranked=len(views),
        num_train=len(finished.cell.train),
        helps=sum(line["influence"] < 0 for line in views) / len(views),
    )


def _most(finished: Finished) -> int | None:
    """Images to rank; None for all."""
    _, height, width = finished.cell.train.image_shape
    most = max(PIXELS // (height * width), FEWEST)
    return None if len(finished.cell.train) <= most else most


def _extreme(finished: Finished, line: dict, most: int | None) -> Extreme:
    x, x_aug = ranked_view(finished, line["image"], line["draw"], most)
    name = line["class_name"]
    return Extreme(
        class_name=name,
        before=Pixels(uri=picture(x.float()), alt=f"training image of class {name}"),
        after=Pixels(uri=picture(x_aug.float()), alt="its view"),
        change=power(line["predicted_change"], sign=True),
    )
