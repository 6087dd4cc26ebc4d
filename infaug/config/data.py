"""Which images, how many labels, which splits, which changes for experiments."""

from dataclasses import dataclass, field, replace
from typing import Literal

from infaug.config.fields import require, within

NuisanceKind = Literal["none", "rotation", "background", "dilation"]


@dataclass(frozen=True, kw_only=True)
class NuisanceConfig:
    """A random change of every image of every split, drawn once, when it is made.

    As Zhou et al. (ICLR 2022) do with Kuzushiji-49, so that what F must ignore is known
    and can be drawn again. The ranges are our choice.
    """

    kind: NuisanceKind = "none"
    """`rotation` about the centre; `background`: black gives way to a grey; `dilation`:
    strokes grow or shrink."""
    rotate_deg: float = 180.0
    """rotation: uniform within plus and minus this, degrees."""
    background: float = 0.6
    """background: grey uniform between 0 and this, in units of [0, 1]."""
    dilate_px: int = 3
    """dilation: pixels by which strokes grow at most; whole numbers, uniform."""
    erode_px: int = 1
    """dilation: pixels by which strokes shrink at most."""

    def __post_init__(self):
        within(
            self, "data.nuisance", rotate_deg="[0, 180]", background="[0, 1]",
            dilate_px=">= 0", erode_px=">= 0",
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class TailConfig:
    """How the sizes of the training classes fall, for experiments on long tails.

    Only the training split is thinned: what drives, chooses and tests stays as balanced
    as the source is.
    """

    kind: Literal["none", "exponential", "zipf"] = "none"
    """`exponential`: n_i = n_1 ratio^(-(i - 1) / (Y - 1)); `zipf`: n_i = n_1 i^(-s),
    s = log(ratio) / log(Y); for i = 1 .. Y, classes in an order drawn from data.seed.
    """
    ratio: float = 100.0
    """Images of the largest class over those of the smallest."""

    def __post_init__(self):
        within(self, "data.tail", ratio=">= 1")


SplitName = Literal["train", "influence", "selection", "test"]


@dataclass(frozen=True, kw_only=True)
class ShiftConfig:
    """A change of the images of chosen splits, for experiments on shifted use."""

    rotate_deg: float = 0.0
    """Rotation, degrees, counter-clockwise."""
    translate_px: float = 0.0
    """Translation to the right and downwards, pixels."""
    contrast: float = 1.0
    """Factor on the deviation from mid-grey; 1 changes nothing."""
    brightness: float = 0.0
    """Added after contrast, in units of the value range [0, 1]."""
    splits: tuple[SplitName, ...] = ("influence", "selection", "test")
    """The splits whose images are shifted."""

    def __post_init__(self):
        within(self, "shift", contrast=">= 0")

    @property
    def is_identity(self) -> bool:
        """Whether no image changes."""
        still = (self.rotate_deg, self.translate_px, self.brightness) == (0, 0, 0)
        return (still and self.contrast == 1) or not self.splits

    @property
    def divides_use_from_training(self) -> bool:
        """Whether test images are changed and training images are not."""
        is_so = "test" in self.splits and "train" not in self.splits
        return is_so and not self.is_identity


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Which images, how many labels, which splits."""

    source: str = "digits"
    """`digits` (bundled), a Parquet file, a folder of Parquet, an image folder, or a
    CSV of paths and labels. Its `val` split, if it has one, drives and chooses."""
    target_source: str | None = None
    """A few labelled images of where the model will be used: they drive, choose and
    are judged. (--target PATH sets this, a number `target`.)"""
    test_from: Literal["target", "source"] = "target"
    """With `target_source`, what the last number is about: a part of the target images
    (or their own test split), or the test split of `source`."""
    labels: float | None = None
    """Labelled training images: a count, a fraction below 1, or all that remain."""
    target: float | None = None
    """Without those: images held out to drive (influence) and to choose (selection), or
    a fraction; None: 200 or, if fewer, a fifth; none where there is a `val` split."""
    influence_share: float = 0.7
    """Part of `target` that drives the influence; the rest is for selection."""
    test: float = 0.3
    """Count or fraction held out for the last number, if there is no test split: of
    `target_source` where there is one, else of `source`."""
    balance: float | None = None
    """Where classes are uneven: an image of a class of n images is trained on
    (n_1 / n)^balance times, rounded, for each time that one of the largest class, of
    n_1, is. 0: once; 1: classes weigh alike; None: 0.5 from 3 to 1 on. Not for streamed
    images, nor by itself with a `tail`, where methods are compared."""
    folds: int | None = None
    """Parts of the target images (without `target_source`: of all images) that
    repetitions judge in turn, so that each is judged by F that did not see it and
    serves every other purpose elsewhere. 0: each repetition draws test images of its
    own. None: 5, or as many as the smallest class has images; 0 where there is a test
    split, or the data are changed for an experiment."""
    seed: int = 0
    """Seed of the splits; the k-th repetition draws them with seed + k."""
    classes: int | None = None
    """Only images of so many classes, evenly spaced in their order: a cheaper problem
    of the same kind. None: all."""
    image_size: int | None = None
    """Resize to this square, pixels. None: as they are; chosen where they differ."""
    centre_crop: float = 1.0
    """Side of the centre square that `image_size` scales, as a share of the shorter
    side; published numbers on ImageNet evaluate 0.875 of it. A stream's random crops
    are cut from the whole image."""
    mode: Literal["auto", "L", "RGB"] = "auto"
    """Grey (L) or colour (RGB). auto: as they are; chosen where they differ."""
    pixel_bits: int | None = None
    """Bits that grey images of more than 8 bits really use: values are scaled from
    0..2^bits - 1. None: 8 to 32, from the largest value of the set."""
    image_column: str = "image"
    """Parquet column that holds encoded image bytes."""
    label_column: str = "label"
    """Column that holds the labels: numbers or names of classes."""
    target_image_column: str | None = None
    """`image_column` of `target_source`. None: the same name."""
    target_label_column: str | None = None
    """`label_column` of `target_source`. None: the same name."""
    path_column: str = "path"
    """CSV column that holds the images' paths, relative to the CSV."""
    split_column: str = "split"
    """CSV column that says train, val or test; it may be missing."""
    max_bad_images: int = 0
    """Unreadable images that are skipped, counted and listed before it is an error."""
    drop_duplicates: bool | None = None
    """Training images whose pixels are also among the images that drive, choose or test
    are left out. None: in a new run, and not in one begun before there was this."""
    decode: Literal["cpu", "device"] = "cpu"
    """Where JPEG images that are streamed for training are decoded: by the CPU, or by
    the GPU that trains, whose pixels differ in the last bits; others always by the CPU.
    """
    stream_above_gib: float = 4.0
    """A Parquet set whose training images would take more memory than this, decoded, is
    streamed from its files; `image_size` is then needed."""
    shift: ShiftConfig = field(default_factory=ShiftConfig)
    tail: TailConfig = field(default_factory=TailConfig)
    nuisance: NuisanceConfig = field(default_factory=NuisanceConfig)

    @property
    def is_changed(self) -> bool:
        """Whether labels are left unused, or images changed, for an experiment."""
        kinds = (self.tail.kind, self.nuisance.kind)
        as_is = kinds == ("none", "none") and self.shift.is_identity
        return self.labels is not None or not as_is

    @property
    def of_target(self) -> "DataConfig":
        """The same settings for the images of `target_source`."""
        assert self.target_source is not None
        return replace(
            self,
            source=self.target_source,
            image_column=self.target_image_column or self.image_column,
            label_column=self.target_label_column or self.label_column,
        )

    def __post_init__(self):
        within(
            self, "data", labels="> 0", target="> 0", test="> 0",
            influence_share="(0, 1)", max_bad_images=">= 0", stream_above_gib=">= 0",
            pixel_bits="[8, 32]", balance="[0, 1]", centre_crop="(0, 1]",
            image_size=">= 8", classes=">= 2",
        )  # fmt: skip
        given = self.target_source is not None or self.test_from == "target"
        rule = "needs data.target_source (--target PATH)"
        require(given, "data.test_from", rule, "source")
        crop = self.centre_crop
        sized = crop == 1 or self.image_size is not None
        require(sized, "data.centre_crop", "needs data.image_size", crop)
