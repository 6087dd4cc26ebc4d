"""A source, divided and shifted as the config asks: what a run is given."""

from dataclasses import dataclass, replace

from jaxtyping import UInt8
from torch import Tensor

from infaug.config import DataConfig, SplitName
from infaug.data.dataset import Labelled
from infaug.data.shift import apply_shift
from infaug.data.source import Source, load
from infaug.data.splits import split


@dataclass(frozen=True, eq=False)
class Splits:
    """The images of a run by purpose; all splits share classes and image shape."""

    train: Labelled
    """Trains F."""
    influence: Labelled
    """Validation images that drive the influence."""
    selection: Labelled
    """Validation images that choose between runs."""
    test: Labelled
    """For the number reported last."""
    unlabelled: UInt8[Tensor, "U C H W"]
    """Training images whose labels are not used; U may be 0."""
    bad: tuple[str, ...]
    """Images that were skipped as unreadable."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the Y classes, in order of label."""
        return self.train.class_names

    @property
    def num_classes(self) -> int:
        """Y."""
        return self.train.num_classes


def load_splits(config: DataConfig) -> Splits:
    """Load a source and `divide` it for the first seed.

    Raises:
        ValueError: whatever `load` and `split` refuse.
    """
    return divide(load(config), config)


def divide(source: Source, config: DataConfig, repetition: int = 0) -> Splits:
    """Divide a source, and shift the splits in `config.shift.splits`.

    Repetitions draw different splits, so that the spread over them is that of the whole
    experiment. Unlabelled images are training images: they are shifted if `train` is.

    Raises:
        ValueError: whatever `split` refuses.
    """
    config = replace(config, seed=config.seed + repetition)
    whole, own_test = source.train, source.test
    at = split(whole.labels, config, test_given=own_test is not None)

    def shifted(name: SplitName, part: Labelled) -> Labelled:
        if name not in config.shift.splits:
            return part
        return replace(part, images=apply_shift(part.images, config.shift))

    return Splits(
        train=shifted("train", whole.select(at.train)),
        influence=shifted("influence", whole.select(at.influence)),
        selection=shifted("selection", whole.select(at.selection)),
        test=shifted("test", whole.select(at.test) if own_test is None else own_test),
        unlabelled=shifted("train", whole.select(at.unlabelled)).images,
        bad=source.bad,
    )
