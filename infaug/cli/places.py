"""Paths that lead nowhere are told before torch is loaded, which takes seconds.

What lies at a path is looked at by whoever reads it.
"""

from collections.abc import Iterable
from pathlib import Path

BUNDLED = "digits"


def look_for_run(*places: str) -> None:
    """Whether run folders are there; URLs are not asked.

    Raises:
        ValueError: for the first that is not.
    """
    _look(places, "give the --out of an `infaug fit`")


def look_for_images(paths: Iterable[Path]) -> None:
    """Whether image files and folders are there.

    Raises:
        ValueError: for the first that is not.
    """
    _look(map(str, paths), "give image files or a folder of them")


def look_for_data(*sources: str | None) -> None:
    """Whether the images of a run are there.

    Raises:
        ValueError: for the first that is not.
    """
    _look(
        [place for place in sources if place not in (None, BUNDLED)],
        f"give a Parquet file, a CSV, a folder, or `{BUNDLED}`, which is bundled",
    )


def _look(places: Iterable[str], remedy: str) -> None:
    for place in places:
        path = Path(place).expanduser()
        if "://" not in place and not path.exists():
            raise ValueError(
                f"{place} was not found: looked for {path.absolute()}; {remedy}"
            )
