"""Where images lie, said so that processes find them that work in other folders."""

from dataclasses import replace
from pathlib import Path

from infaug.config import DataConfig


def fixed(source: str) -> str:
    """The same source for any process; a URL and bundled images stay as they are.

    >>> fixed("digits"), fixed("s3://bucket/set/"), fixed("/data/pets/")
    ('digits', 's3://bucket/set/', '/data/pets')
    """
    if source == "digits" or "://" in source:
        return source
    return str(Path(source).expanduser().absolute())


def located(data: DataConfig) -> DataConfig:
    """Data settings whose images, and those of the target, any process finds."""
    target = data.target_source
    return replace(
        data, source=fixed(data.source), target_source=target and fixed(target)
    )
