"""The images of tables' problems, which one process reads once for many trainings."""

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache

from infaug.config import DataConfig
from infaug.data.images import Source
from infaug.data.source import load
from infaug.data.survey import resolve_images

# What is done with images once they are read. A setting that is missing here is taken
# to matter to reading: they would be read again for another value, never wrongly.
OF_DIVISION = (
    "labels",
    "target",
    "influence_share",
    "test",
    "seed",
    "drop_duplicates",
    "shift",
    "tail",
    "balance",
    "nuisance",
)


# What is chosen by the images where it is left open.
FROM_IMAGES = ("image_size", "mode", "pixel_bits")


def reading(data: DataConfig) -> DataConfig:
    """Of the data settings only those that `load` looks at; others as by default.

    >>> given = DataConfig(source="pets", labels=100, stream_above_gib=1.0)
    >>> reading(given) == DataConfig(source="pets", stream_above_gib=1.0)
    True
    """
    default = DataConfig()
    return replace(data, **{name: getattr(default, name) for name in OF_DIVISION})


def images_of(
    data: DataConfig, places: Mapping[str, str], targets: Mapping[str, str]
) -> Source:
    """The images of a problem.

    Raises:
        ValueError: whatever `load` refuses.
    """
    return _loaded(reading(_placed(data, places, targets)))


def resolved(
    data: DataConfig, places: Mapping[str, str], targets: Mapping[str, str]
) -> tuple[DataConfig, list[str]]:
    """A problem's settings with the size and mode its images get, and notes on them.

    Raises:
        ValueError: for images that are missing or of no known layout.
    """
    found, lines = resolve_images(_placed(data, places, targets))
    return replace(data, **{name: getattr(found, name) for name in FROM_IMAGES}), lines


def _placed(
    data: DataConfig, places: Mapping[str, str], targets: Mapping[str, str]
) -> DataConfig:
    source, target = data.source, data.target_source
    return replace(
        data,
        source=places.get(source, source),
        target_source=target and targets.get(target, target),
    )


@lru_cache(maxsize=1)
def _loaded(data: DataConfig) -> Source:
    """One process runs many trainings of the same images: they are decoded once."""
    return load(data)


def forget_images() -> None:
    """Give back the memory of what this process has read."""
    _loaded.cache_clear()
