"""Where images lie, said so that processes find them that work in other folders."""

from collections.abc import Sequence
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


def places_of(sources: Sequence[str]) -> dict[str, str]:
    """Folders by the name of their data, from NAME=FOLDER or FOLDER.

    >>> places_of(["digits", "cats=s3://bucket/pets", "s3://bucket/set?scheme=http"])
    {'digits': 'digits', 'cats': 's3://bucket/pets', 'set': 's3://bucket/set?scheme=http'}

    Raises:
        ValueError: for two of one name.
    """
    places: dict[str, str] = {}
    for source in sources:
        name, place = _named(source)
        if name in places:
            raise ValueError(
                f"--data: two sources are called {name!r}: name them, as in "
                f"{name}2={place}"
            )
        places[name] = fixed(place)
    return places


def _named(source: str) -> tuple[str, str]:
    """The name of a source's data, given or that of the folder, and where it lies.

    >>> _named("a/lr=3/pets")  # a name is no part of a path or of a URL
    ('pets', 'a/lr=3/pets')
    """
    name, equals, place = source.partition("=")
    if name and equals and not set(name) & set(":/?"):
        return name, place
    if "://" in source:
        from infaug.storage import location  # imports pyarrow

        name = location(source).name
    else:
        path = Path(source).expanduser()
        # A link is called as it is; only what is no name is looked up.
        name = path.name if path.name not in ("", "..") else path.resolve().name
    if not name:
        raise ValueError(f"--data {source} has no name: give it one, as NAME={source}")
    return name, source
