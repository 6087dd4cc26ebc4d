"""A source, divided and changed as the config asks: what a run is given."""

from dataclasses import dataclass, replace

from jaxtyping import UInt8
from torch import Tensor

from infaug.config import DataConfig, SplitName
from infaug.data.dataset import Labelled
from infaug.data.nuisance import apply_nuisance
from infaug.data.shift import apply_shift
from infaug.data.source import Source, load
from infaug.data.splits import Indices, split
from infaug.data.stored import Stored


@dataclass(frozen=True, eq=False)
class Splits:
    """The images of a run by purpose; all splits share classes and image shape."""

    train: Labelled | Stored
    """Trains F."""
    influence: Labelled
    """Validation images that drive the influence."""
    selection: Labelled
    """Validation images that choose between runs."""
    test: Labelled
    """For the number reported last."""
    unlabelled: UInt8[Tensor, "U C H W"]
    """Training images whose labels are not used; U may be 0, and is if they do not fit
    into memory."""
    bad: tuple[str, ...]
    """Images that were skipped as unreadable."""
    drives: Stored | None = None
    """The influence images as they are stored, if the training images are."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the Y classes, in order of label."""
        return self.train.class_names

    @property
    def pooled(self) -> Labelled | Stored:
        """Training and influence images together."""
        if isinstance(self.train, Stored):
            assert self.drives is not None, "both are parts of what is stored"
            return self.train + self.drives
        return self.train + self.influence

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
    """Divide a source, give images their nuisance, shift `config.shift.splits`.

    Repetitions draw different splits, so that the spread over them is that of the whole
    experiment. Unlabelled images are training images: they are shifted if `train` is.

    Raises:
        ValueError: whatever `split` refuses, and a shift or nuisance of images that are
            streamed.
    """
    config = replace(config, seed=config.seed + repetition)
    whole, own_test = source.train, source.test
    at = split(whole.labels, config, test_given=own_test is not None)

    if isinstance(whole, Stored):
        return _divide_stored(source, whole, at, config)

    test = whole.select(at.test) if own_test is None else own_test
    return Splits(
        train=altered(whole.select(at.train), "train", config),
        influence=altered(whole.select(at.influence), "influence", config),
        selection=altered(whole.select(at.selection), "selection", config),
        test=altered(test, "test", config),
        unlabelled=altered(whole.select(at.unlabelled), "train", config).images,
        bad=source.bad,
    )


def altered(part: Labelled, name: SplitName, config: DataConfig) -> Labelled:
    """Images as they appear in a split: each with its nuisance, then all shifted."""
    images = apply_nuisance(part.images, config.nuisance, config.seed, name)
    if name in config.shift.splits:
        images = apply_shift(images, config.shift)
    return replace(part, images=images)


def _divide_stored(
    source: Source, whole: Stored, at: Indices, config: DataConfig
) -> Splits:
    nuisance = config.nuisance.kind != "none"
    if nuisance or not config.shift.is_identity:
        raise ValueError(
            f"data.{'nuisance' if nuisance else 'shift'} is for images in memory, and "
            "these are streamed: raise --data.stream-above-gib, or give the "
            f"{'changed' if nuisance else 'shifted'} images themselves"
        )
    return Splits(
        train=whole.part(at.train),
        influence=whole.select(at.influence),
        selection=whole.select(at.selection),
        test=whole.select(at.test) if source.test is None else source.test,
        unlabelled=whole.select(at.unlabelled[:0]).images,
        bad=source.bad,
        drives=whole.part(at.influence),
    )
