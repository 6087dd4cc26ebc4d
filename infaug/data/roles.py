"""Which images of a source do what, told to a person who is new to infaug.

Counts are those of the first repetition; the others draw as many.
"""

from infaug.config import DataConfig
from infaug.data.images import Source
from infaug.data.splits import Indices
from infaug.words import plural

HELD_OUT = "held out of it"


def roles(source: Source, at: Indices, config: DataConfig) -> list[str]:
    """A line each for images that train, that drive, that choose and that test."""
    test = len(at.test) if source.test is None else len(source.test)
    held = _held_in(source, config)
    return [
        _trains(source, at),
        f"influence  {len(at.influence):,} {held}: they show E which views help there",
        f"selection  {len(at.selection):,} {held}: they choose between what was tried",
        f"test       {test:,} {_tested_in(source, config)}: looked at once, at the end",
    ]


def _trains(source: Source, at: Indices) -> str:
    shape = "x".join(str(side) for side in source.train.image_shape)
    num, trained = len(source.train), len(at.train)
    if num == trained:
        return f"source     {plural(num, 'image')} to train on, {shape}"
    said = f"source     {plural(num, 'image')}, {shape}: {trained:,} to train on"
    unused = len(at.unlabelled)
    return f"{said}, {unused:,} shown without labels" if unused else said


def _held_in(source: Source, config: DataConfig) -> str:
    if source.target is None:
        return HELD_OUT
    return f"of {config.target_source or 'its val split'}"


def _tested_in(source: Source, config: DataConfig) -> str:
    if source.test is None:
        return _held_in(source, config) if source.is_tested_on_target else HELD_OUT
    if config.target_source is not None and config.test_from == "target":
        return f"of the test split of {config.target_source}"
    return "of its test split"
