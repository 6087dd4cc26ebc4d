"""Which view of an image the influences of a finished cell are about."""

from infaug.augment.views import Mixed
from infaug.training.cell import Cell
from infaug.types import Augment


def judged_view(cell: Cell) -> Augment:
    """The last of the row's views that goes through E and G, or its last if none does.

    Not yet mixed with other images: I_aug judges x_aug with the label of x.
    """
    names = cell.row.views_of(cell.config.classifier.views)
    learned = [k for k, name in enumerate(names) if "learned" in name]
    augment = cell.augments[learned[-1] if learned else -1]
    return augment.augment if isinstance(augment, Mixed) else augment
