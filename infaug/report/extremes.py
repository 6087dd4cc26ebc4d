"""The views that are predicted to help most, and to harm most."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
from markupsafe import Markup

from infaug.report.gallery import Pixels
from infaug.report.pixels import picture
from infaug.report.words import power
from infaug.trust.rank import extremes, rank, ranked_view
from infaug.trust.reload import Finished

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
