"""Every setting of a run: frozen dataclasses, checked on construction.

`auto` values are settled by `comparison.plan` once the data has been seen; the run
folder holds the settled config. This file imports nothing heavy: the command line
reads it to print its help.
"""

import dataclasses
import typing
from dataclasses import dataclass, field
from typing import Any, Literal

Network = Literal["auto", "allconv", "resnet56", "resnet18", "resnet50"]
Base = Literal["auto", "none", "affine", "crop_flip", "resized_crop_flip"]
Controls = Literal["full", "quick", "none"]
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
        require(self.contrast >= 0, "shift.contrast", "must be >= 0", self.contrast)

    @property
    def is_identity(self) -> bool:
        """Whether no image changes."""
        still = (self.rotate_deg, self.translate_px, self.brightness) == (0, 0, 0)
        return (still and self.contrast == 1) or not self.splits


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Which images, how many labels, which splits."""

    source: str = "digits"
    """`digits` (bundled), a Parquet file, a folder of Parquet, or an image folder."""
    labels: float | None = None
    """Labelled training images: a count, a fraction below 1, or all that remain."""
    target: float = 200
    """Images held out to drive (influence) and to choose (selection); or a fraction."""
    influence_share: float = 0.7
    """Part of `target` that drives the influence; the rest is for selection."""
    test: float = 0.3
    """Count or fraction held out for the last number, if the source has no test."""
    seed: int = 0
    """Seed of the splits; the k-th repetition draws them with seed + k."""
    image_size: int | None = None
    """Resize to this square, pixels; needed if the images differ in size."""
    mode: Literal["auto", "L", "RGB"] = "auto"
    """Grey (L) or colour (RGB); needed if the images differ in mode."""
    image_column: str = "image"
    """Parquet column that holds encoded image bytes."""
    label_column: str = "label"
    """Parquet column that holds integer labels."""
    max_bad_images: int = 0
    """Unreadable images that are skipped, counted and listed before it is an error."""
    shift: ShiftConfig = field(default_factory=ShiftConfig)

    def __post_init__(self):
        if self.labels is not None:
            require(self.labels > 0, "data.labels", "must be > 0", self.labels)
        require(self.target > 0, "data.target", "must be > 0", self.target)
        require(self.test > 0, "data.test", "must be > 0", self.test)
        share = self.influence_share
        require(
            0 < share < 1, "data.influence_share", "must lie between 0 and 1", share
        )
        bad = self.max_bad_images
        require(bad >= 0, "data.max_bad_images", "must be >= 0", bad)
        if self.image_size is not None:
            size = self.image_size
            require(size >= 8, "data.image_size", "must be >= 8 pixels", size)


@dataclass(frozen=True, kw_only=True)
class ClassifierConfig:
    """F and how it is trained."""

    network: Network = "auto"
    """`auto`: allconv up to 32 px grey, resnet56 up to 64 px, resnet18 above."""
    batch_size: int = 64
    """Images per step, over all workers; every image is seen in two views."""
    batch_groups: int = 4
    """Groups of a batch with their own BatchNorm statistics and random numbers; the
    number of workers must divide it."""
    optimizer: Literal["auto", "adam", "sgd"] = "auto"
    """`auto`: adam for allconv, sgd with Nesterov momentum 0.9 for the ResNets."""
    learning_rate: float | None = None
    """Peak of a cosine schedule; None: 2e-3 for adam, 0.1 for sgd."""
    weight_decay: float = 1e-4
    """Decoupled for adam; L2 for sgd."""
    precision: Literal["auto", "float32", "bfloat16", "float64"] = "auto"
    """`auto`: bfloat16 autocast where the hardware multiplies bfloat16 itself, else
    float32. float64 is for proofs."""
    channels_last: bool = True
    """Memory format of convolutions; measured by benchmarks/precision.py."""

    def __post_init__(self):
        size, groups = self.batch_size, self.batch_groups
        require(groups >= 1, "classifier.batch_groups", "must be >= 1", groups)
        require(
            size >= groups and size % groups == 0,
            "classifier.batch_size",
            f"must be a multiple of batch_groups ({groups})",
            size,
        )
        rate = self.learning_rate
        if rate is not None:
            require(rate > 0, "classifier.learning_rate", "must be > 0", rate)
        decay = self.weight_decay
        require(decay >= 0, "classifier.weight_decay", "must be >= 0", decay)


@dataclass(frozen=True, kw_only=True)
class InfluenceConfig:
    """s_val and how an augmented image is scored."""

    damping: float = 1e-2
    """Added to the Hessian's diagonal; at least the head's weight decay."""
    rtol: float = 1e-3
    """Relative residual at which conjugate gradients stops."""
    max_products: int = 200
    """Hessian-vector products before it stops regardless, and says so."""
    objective: Literal["relative", "raw"] = "relative"
    """`relative` divides by the image's own gradient norm; `raw` rewards extremes."""
    norm_floor: float = 0.1
    """Added to the gradient norm before dividing, nats per unit of head weight."""
    hessian_on: Literal["views", "originals"] = "views"
    """What the Hessian averages over: all F is trained on, or the originals only."""

    def __post_init__(self):
        require(
            self.damping > 0,
            "influence.damping",
            "must be > 0: the softmax Hessian is singular",
            self.damping,
        )
        require(0 < self.rtol < 1, "influence.rtol", "must be in (0, 1)", self.rtol)
        most = self.max_products
        require(most >= 1, "influence.max_products", "must be >= 1", most)
        floor = self.norm_floor
        require(floor > 0, "influence.norm_floor", "must be > 0", floor)


@dataclass(frozen=True, kw_only=True)
class TransformConfig:
    """G: what a transformation may at most do."""

    tau_size: int = 128
    """Length of tau."""
    matrix_strength: float = 0.8
    """Bound of each entry of the local 2x2 matrices A."""
    offset_strength: float = 0.25
    """Bound of the local offsets b, in half image sides."""
    filter_strength: float = 0.25
    """Bound of the entries of the colour filter c_w."""
    bias_strength: float = 0.25
    """Bound of the colour bias c_b, in units of the value range."""
    initial_spread: float = 0.5
    """Standard deviation of the initial fields over random tau, before tanh."""
    pooling: Literal["local", "global", "both"] = "global"
    """Average-pooled fields, their global mean (an affine map), or the mean of both."""
    padding: Literal["zeros", "border", "reflection"] = "zeros"
    """What lies outside the image."""

    def __post_init__(self):
        require(self.tau_size >= 1, "transform.tau_size", "must be >= 1", self.tau_size)
        for name in ("matrix", "offset", "filter", "bias"):
            value = getattr(self, f"{name}_strength")
            require(value >= 0, f"transform.{name}_strength", "must be >= 0", value)


@dataclass(frozen=True, kw_only=True)
class EstimatorConfig:
    """E and how it learns, together with G."""

    batch_size: int = 64
    """Images per step, over all workers."""
    learning_rate: float = 3e-4
    """Peak of a cosine schedule, Adam, for E."""
    generator_learning_rate: float = 1e-5
    """The same for G. Small: what E should learn does not drift into G, whose random
    tau is the control; 0 keeps G as it is."""
    restraint: float = 0.01
    """Weight of the mean squared field, which favours the identity."""
    tau_noise: float = 0.5
    """Standard deviation of the Gaussian noise added to tau, also in use."""

    def __post_init__(self):
        rate, noise = self.learning_rate, self.tau_noise
        require(rate > 0, "estimator.learning_rate", "must be > 0", rate)
        require(noise >= 0, "estimator.tau_noise", "must be >= 0", noise)
        size = self.batch_size
        require(size >= 1, "estimator.batch_size", "must be >= 1", size)


@dataclass(frozen=True, kw_only=True)
class RoundsConfig:
    """The alternation of F, s_val and E."""

    rounds: int = 15
    """Times round; s_val is refreshed once in each."""
    classifier_steps: int = 100
    """Steps of F in each round."""
    estimator_steps: int = 40
    """Steps of E in each round, after s_val is refreshed."""
    base: Base = "auto"
    """`auto`: affine for grey, crop_flip up to 64 px colour, else resized_crop_flip."""
    log_every_steps: int = 20
    """Steps between lines of metrics.jsonl."""
    checkpoint_every_steps: int = 200
    """Steps between checkpoints inside a phase; every phase ends with one."""

    def __post_init__(self):
        for name in ("rounds", "classifier_steps", "estimator_steps"):
            value = getattr(self, name)
            require(value >= 1, f"rounds.{name}", "must be >= 1", value)
        for name in ("log_every_steps", "checkpoint_every_steps"):
            value = getattr(self, name)
            require(value >= 1, f"rounds.{name}", "must be >= 1", value)


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Everything that decides the numbers of a run."""

    data: DataConfig = field(default_factory=DataConfig)
    classifier: ClassifierConfig = field(default_factory=ClassifierConfig)
    influence: InfluenceConfig = field(default_factory=InfluenceConfig)
    transform: TransformConfig = field(default_factory=TransformConfig)
    estimator: EstimatorConfig = field(default_factory=EstimatorConfig)
    rounds: RoundsConfig = field(default_factory=RoundsConfig)
    controls: Controls = "full"
    """Rows run beside the learned ones: all, the closest, or none."""
    seeds: int = 3
    """Paired repetitions: seeds 0 .. seeds - 1, the same for every row."""

    def __post_init__(self):
        require(self.seeds >= 1, "seeds", "must be >= 1", self.seeds)
        groups = self.classifier.batch_groups
        size = self.estimator.batch_size
        require(
            size % groups == 0,
            "estimator.batch_size",
            f"must be a multiple of classifier.batch_groups ({groups})",
            size,
        )
        decay, damping = self.classifier.weight_decay, self.influence.damping
        require(
            damping >= decay,
            "influence.damping",
            f"must be >= classifier.weight_decay ({decay}), which the head is "
            "trained with",
            damping,
        )


def require(holds: bool, name: str, rule: str, value: object) -> None:
    """Raise a ValueError that names the setting, its rule and its value."""
    if not holds:
        raise ValueError(f"{name} {rule}, got {value!r}")


def to_dict(config: Any) -> dict[str, Any]:
    """A config as nested dictionaries that JSON can hold."""
    return dataclasses.asdict(config)


def from_dict(kind: type, values: Any) -> Any:
    """The config of class `kind` that `to_dict` turned into `values`.

    Raises:
        ValueError: if `values` has a field that `kind` lacks, or a value is refused.
        TypeError: if `values` is no dictionary.
    """
    if not isinstance(values, dict):
        raise TypeError(f"{kind.__name__} is read from an object, got {values!r}")
    hints = typing.get_type_hints(kind)
    known = {f.name for f in dataclasses.fields(kind)}
    for name in values:
        require(name in known, name, f"is not a setting of {kind.__name__}", name)
    read = {name: _read(hints[name], value) for name, value in values.items()}
    return kind(**read)


def _read(hint: Any, value: Any) -> Any:
    if dataclasses.is_dataclass(hint):
        return from_dict(typing.cast("type", hint), value)
    if typing.get_origin(hint) is tuple:
        return tuple(value)
    return value


def difference(old: Any, new: Any, prefix: str = "") -> list[str]:
    """The settings in which two configs differ, as `name: old -> new`."""
    lines = []
    for f in dataclasses.fields(old):
        a, b = getattr(old, f.name), getattr(new, f.name)
        if dataclasses.is_dataclass(a):
            lines += difference(a, b, f"{prefix}{f.name}.")
        elif a != b:
            lines.append(f"{prefix}{f.name}: {a!r} -> {b!r}")
    return lines
