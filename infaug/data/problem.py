"""A source, divided and shifted as the config asks: what a run is given."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Int64, UInt8
from torch import Tensor

from infaug.config import DataConfig, SplitName
from infaug.data.dataset import Labelled
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
    at: Indices | None = None
    """Where in the source the images lie; None: nowhere, they were made."""

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

    def trained_on(
        self, is_pooled: bool
    ) -> tuple[Int64[Tensor, "N"], Bool[Tensor, "N"]]:
        """Of every image F trains on: its number in the source, and if it also drives.

        Images that were made have their own number.
        """
        if self.at is None:
            images = self.pooled if is_pooled else self.train
            return torch.arange(len(images)), torch.zeros(len(images)).bool()
        if not is_pooled:
            return self.at.train, torch.zeros(len(self.at.train)).bool()
        both = torch.cat([self.at.train, self.at.influence])
        drives = torch.arange(len(both)) >= len(self.at.train)
        if isinstance(self.train, Labelled):
            return both, drives
        order = both.argsort()  # as images that are streamed are pooled
        return both[order], drives[order]

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
        ValueError: whatever `split` refuses, and a shift of images that are streamed.
    """
    config = replace(config, seed=config.seed + repetition)
    whole, own_test = source.train, source.test
    at = split(whole.labels, config, test_given=own_test is not None)

    if isinstance(whole, Stored):
        return _divide_stored(source, whole, at, config)

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
        at=at,
    )


def _divide_stored(
    source: Source, whole: Stored, at: Indices, config: DataConfig
) -> Splits:
    if not config.shift.is_identity:
        raise ValueError(
            "data.shift is for images in memory, and these are streamed: raise "
            "--data.stream-above-gib, or give the shifted images themselves"
        )
    return Splits(
        train=whole.part(at.train),
        influence=whole.select(at.influence),
        selection=whole.select(at.selection),
        test=whole.select(at.test) if source.test is None else source.test,
        unlabelled=whole.select(at.unlabelled[:0]).images,
        bad=source.bad,
        drives=whole.part(at.influence),
        at=at,
    )
