"""A source, divided and changed as the config asks: what a run is given."""

from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

import torch
from jaxtyping import Bool, Int64, UInt8
from torch import Tensor

from infaug.config import DataConfig, SplitName
from infaug.data.class_sizes import balanced
from infaug.data.dataset import Labelled
from infaug.data.images import Source, without_duplicates
from infaug.data.on_disk import ImageSet, OnDisk
from infaug.data.share import CHUNK, hold, sample_of
from infaug.data.shift import apply_nuisance, apply_shift
from infaug.data.source import load
from infaug.data.splits import Indices, split
from infaug.world import World

FINAL = -1  # The repetition that judges nothing: it trains on all labelled images.


@dataclass(frozen=True, eq=False)
class Splits:
    """The images of a run by purpose; all splits share classes and image shape."""

    train: ImageSet
    """Trains F."""
    influence: ImageSet
    """Validation images that drive the influence; on disk if `train` is."""
    selection: ImageSet
    """Validation images that choose between runs."""
    test: ImageSet
    """For the number reported last."""
    unlabelled: UInt8[Tensor, "U C H W"]
    """Training images whose labels are not used; U may be 0, and is if they do not fit
    into memory."""
    at: Indices | None = None
    """Where in the source the images lie; None: nowhere, they were made."""
    is_folded: bool = False
    """Whether `test` is a fold of the target images, and all others may be trained on
    where nothing is chosen by them."""
    selection_is_in_influence: bool = False
    """Whether the selection images are among `influence`, and so choose nothing."""
    counted_from: int = 0
    """What is added to positions of influence images for their numbers in the source:
    how many training images it has, where they lie among its target images."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the Y classes, in order of label."""
        return self.train.class_names

    @property
    def pooled(self) -> ImageSet:
        """Training and influence images together."""
        return _joined(self.train, self.influence)

    @property
    def with_selection_in_influence(self) -> "Splits":
        """The same for trainings in which nothing is chosen by the selection images.

        Pooled methods then train on them as well, and S is of them, too.
        """
        at, both = self.at, _joined(self.influence, self.selection)
        if at is not None:
            at = replace(at, influence=torch.cat([at.influence, at.selection]))
        return replace(self, influence=both, at=at, selection_is_in_influence=True)

    @property
    def with_influence_selecting(self) -> "Splits":
        """The same, the influence images among those that choose.

        For trainings that neither train on them nor are driven by them.
        """
        return replace(self, selection=_joined(self.influence, self.selection))

    def held_by(self, world: World) -> "Splits":
        """The same; this process then holds its part of the images on disk, decoded.

        What F is normalised by is read along with them. All processes of the world
        call this together.
        """
        units = [(self.influence, CHUNK), (self.selection, 1), (self.test, 1)]
        if isinstance(self.train, OnDisk):
            units.append((sample_of(self.train), 1))
        parts = world.each(partial(hold, units, world))
        influence, selection, test = parts[:3]
        return replace(self, influence=influence, selection=selection, test=test)

    def trained_on(
        self, is_pooled: bool
    ) -> tuple[Int64[Tensor, "N"], Bool[Tensor, "N"]]:
        """Of every image F trains on: its number in the source, and if it also drives.

        The source's target images are counted on from its training images. Images that
        were made have their own number.
        """
        if self.at is None:
            images = self.pooled if is_pooled else self.train
            return torch.arange(len(images)), torch.zeros(len(images)).bool()
        if not is_pooled:
            return self.at.train, torch.zeros(len(self.at.train)).bool()
        both = torch.cat([self.at.train, self.at.influence + self.counted_from])
        drives = torch.arange(len(both)) >= len(self.at.train)
        if isinstance(self.train, Labelled):
            return both, drives
        order = both.argsort()  # as images that are streamed are pooled
        return both[order], drives[order]

    @property
    def num_classes(self) -> int:
        """Y."""
        return self.train.num_classes


def _joined(a: ImageSet, b: ImageSet) -> ImageSet:
    if isinstance(a, OnDisk):
        assert isinstance(b, OnDisk), "both are parts of what is stored"
        return a + b
    assert isinstance(b, Labelled), "both are in memory"
    return a + b


def load_splits(config: DataConfig) -> Splits:
    """Load a source and `divide` it for the first seed.

    Raises:
        ValueError: whatever `load` and `split` refuse.
    """
    return divide(load(config), config)


def positions(source: Source, config: DataConfig, repetition: int = 0) -> Indices:
    """Which image of a source serves which purpose in a repetition.

    With `config.drop_duplicates`, training images that are held out as well, pixel by
    pixel, are in no split.
    """
    config, fold = _of_repetition(config, repetition)
    at = split(
        source.train.labels,
        config,
        source.test is not None,
        source.train.class_names,
        target_labels=source.target.labels if source.target is not None else None,
        test_of_target=source.is_tested_on_target,
        fold=fold,
    )
    if not config.drop_duplicates:
        return at
    return without_duplicates(source, at, is_folded=bool(config.folds))


def _of_repetition(
    config: DataConfig, repetition: int
) -> tuple[DataConfig, int | None]:
    """The config with the seed of a repetition, and the fold that it judges.

    Repetitions go through all folds of one division before the next is drawn.
    """
    if not config.folds:
        return replace(config, seed=config.seed + repetition), None
    if repetition == FINAL:
        return config, None
    again, fold = divmod(repetition, config.folds)
    return replace(config, seed=config.seed + again), fold


def divide(source: Source, config: DataConfig, repetition: int = 0) -> Splits:
    """Divide a source, give images their nuisance, shift `config.shift.splits`.

    Repetitions draw different splits, so that the spread over them is that of the whole
    experiment. Unlabelled images are training images: they are shifted if `train` is.
    """
    at = positions(source, config, repetition)
    whole, seeded = source.train, _of_repetition(config, repetition)[0]
    held = whole if source.target is None else source.target
    tested = held if source.is_tested_on_target else whole
    if isinstance(whole, OnDisk):
        _refuse_changes(config)
    else:
        at = replace(at, train=balanced(at.train, whole.labels, config))
    test = source.test
    if test is None or config.folds:
        test = (held if config.folds else tested).part(at.test)
    unlabelled = at.unlabelled[:0] if isinstance(whole, OnDisk) else at.unlabelled
    return Splits(
        train=altered(whole.part(at.train), "train", seeded),
        influence=altered(held.part(at.influence), "influence", seeded),
        selection=altered(held.part(at.selection), "selection", seeded),
        test=altered(test, "test", seeded),
        unlabelled=altered(whole.select(unlabelled), "train", seeded).images,
        at=at,
        is_folded=bool(config.folds),
        counted_from=0 if held is whole else len(whole),
    )


Part = TypeVar("Part", bound=ImageSet)


def altered(part: Part, name: SplitName, config: DataConfig) -> Part:
    """Images as they appear in a split: each with its nuisance, then all shifted.

    Those on disk stay as they are.
    """
    if isinstance(part, OnDisk):
        return part
    images = apply_nuisance(part.images, config.nuisance, config.seed, name)
    if name in config.shift.splits:
        images = apply_shift(images, config.shift)
    return replace(part, images=images)


def _refuse_changes(config: DataConfig) -> None:
    """What is done to images in memory alone."""
    if config.balance:
        raise ValueError(
            "data.balance repeats images in memory, and these are streamed: leave it "
            "out, or raise --data.stream-above-gib"
        )
    if config.nuisance.kind != "none" or not config.shift.is_identity:
        raise ValueError(
            "data.nuisance and data.shift are for images in memory, and these are "
            "streamed: raise --data.stream-above-gib, or give the changed images "
            "themselves"
        )
