"""Settings of commands beside `fit`: export, data prepare and sweep."""

from dataclasses import dataclass
from typing import Literal

from infaug.config.fields import require, within

ExportFormat = Literal["safetensors", "torch_export", "onnx"]
ExportSeed = int | Literal["best-on-selection"]


@dataclass(frozen=True, kw_only=True)
class ExportConfig:
    """What of a run is taken away, and in which forms."""

    method: str | None = None
    """Learned method; none: the one with the lowest mean selection loss."""
    seed: ExportSeed = "best-on-selection"
    """Which repetition: a number, or the one with the lowest selection loss."""
    formats: tuple[ExportFormat, ...] = ("safetensors", "torch_export")
    """Weights and card are written in any case; `torch_export` adds a program that
    needs torch alone, `onnx` (pip install 'infaug[onnx]') one that needs no torch."""
    licence: str | None = None
    """Under which the artefact may be used, for the card; none: not stated."""

    def __post_init__(self):
        number = isinstance(self.seed, int) and self.seed >= 0
        rule = "must be a number from 0 or best-on-selection"
        require(number or self.seed == "best-on-selection", "seed", rule, self.seed)


Downloadable = Literal["mnist", "cifar10", "cifar100", "pacs"]


@dataclass(frozen=True, kw_only=True)
class PrepareConfig:
    """How a source is turned into Parquet shards."""

    shorter_side: int | None = None
    """Shrink larger images so that the shorter side has so many pixels; none: image
    files are kept byte for byte."""
    rows_per_shard: int | None = None
    """Images in a shard; none: as many as make about 256 MiB of the source's files."""
    max_bad_images: float = 0.001
    """Unreadable images that are left out and listed before it is an error: a count, or
    a fraction below 1. One in a thousand: large sets have a few, small ones none."""

    def __post_init__(self):
        within(self, "", shorter_side=">= 1", rows_per_shard=">= 1")
        bad, rule = self.max_bad_images, "must be a count or a fraction below 1"
        holds = 0 <= bad < 1 or (bad >= 1 and bad == int(bad))
        require(holds, "max_bad_images", rule, bad)

    def max_bad(self, num_images: int) -> int:
        """Unreadable images that are allowed among so many.

        >>> PrepareConfig(max_bad_images=0.01).max_bad(250)
        2
        """
        bad = self.max_bad_images
        return int(bad) if bad >= 1 else int(bad * num_images)


Objective = Literal["loss", "top1"]


@dataclass(frozen=True, kw_only=True)
class SweepConfig:
    """How settings are searched for: always on the selection split."""

    trials: int = 24
    """Settings that are tried; the first ones are those the sweep begins with."""
    method: str = "base_learned"
    """What is trained in each trial: a method with a learned view."""
    seed: int = 0
    """Of the splits and the training of all trials, and of what is proposed."""
    objective: Objective = "loss"
    """On the selection split: its loss (nats, lowest is best) or its top-1 accuracy."""
    searcher: Literal["random", "optuna"] = "random"
    """Proposes settings: drawn independently, or by Optuna's TPE (pip install
    'infaug[optuna]')."""
    scheduler: Literal["asha", "hyperband", "pbt", "pb2", "none"] = "asha"
    """asha: stops trials that lag behind others at the same step; hyperband: so, but
    some trials only later on; pbt: they take over a better one's weights, with settings
    near its own; pb2: with settings that a Gaussian process picks; none: all are
    trained in full."""
    grace: float = 0.25
    """Share of F's steps before a trial may be stopped, and between two exchanges."""
    reduction: float = 3.0
    """One trial in so many goes on at each milestone, and to the next problem of the
    ladder; milestones lie so many times further apart."""
    ladder: tuple[str, ...] = ()
    """Cheaper problems on which all trials are tried first, the cheapest one first,
    each as name=value,name=value: data.image_size=64,data.classes=100 . The best ones
    and the first go on to the next, and at last to the problem itself."""
    minutes: float | None = None
    """Time for trials in each command, of which every problem of a ladder gets what its
    part of the cost is; the same command goes on with those that are not over."""
    worker_hours: float | None = None
    """The same in hours of all trials' workers, GPU-hours where each takes a GPU, and
    for all commands together."""

    def __post_init__(self):
        within(
            self, "sweep", trials=">= 1", grace="(0, 1]", reduction="(1, inf)",
            minutes="> 0", worker_hours="> 0",
        )  # fmt: skip
        rule = f"must be random with {self.scheduler}, which changes settings itself"
        both = self.is_population and self.searcher == "optuna"
        require(not both, "sweep.searcher", rule, self.searcher)
        rule = f"must be empty with {self.scheduler}, whose settings change on the way"
        both = self.is_population and bool(self.ladder)
        require(not both, "sweep.ladder", rule, self.ladder)

    @property
    def is_population(self) -> bool:
        """Whether trials take over each other's weights, with changed settings."""
        return self.scheduler in ("pbt", "pb2")
