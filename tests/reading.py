"""Reading a set as a run reads it."""

import warnings
from pathlib import Path

from infaug.config import DataConfig
from infaug.data.images import Source
from infaug.data.source import load
from infaug.data.survey import resolve_images


def read(path: Path, **settings) -> Source:
    """The images of a place, without the warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        config, _ = resolve_images(DataConfig(source=str(path), **settings))
        return load(config)
