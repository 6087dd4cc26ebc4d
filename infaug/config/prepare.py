"""How a source is turned into Parquet."""

from dataclasses import dataclass
from typing import Literal

from infaug.config.check import require

Downloadable = Literal["mnist", "cifar10", "cifar100"]


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
        for name in ("shorter_side", "rows_per_shard"):
            value = getattr(self, name)
            require(value is None or value >= 1, name, "must be >= 1", value)
        bad = self.max_bad_images
        is_count = bad >= 0 and (bad < 1 or bad == int(bad))
        rule = "must be a count or a fraction below 1"
        require(is_count, "max_bad_images", rule, bad)

    def most_bad(self, num_images: int) -> int:
        """Unreadable images that are borne among so many.

        >>> PrepareConfig(max_bad_images=0.01).most_bad(250)
        2
        """
        bad = self.max_bad_images
        return int(bad) if bad >= 1 else int(bad * num_images)
