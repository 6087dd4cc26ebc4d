"""Which images a file of results is about: a name of data stands for the same ones.

NAME-images.json lies beside NAME.jsonl and says for each data set what was asked for,
the size and mode that were chosen, and what tells its images from others. Results that
are older than this file stay; which images they are about is then what the next command
says.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from infaug.config import DataConfig, from_dict
from infaug.experiment.grid_images import reading
from infaug.experiment.results import Results
from infaug.record.atomic import write_json


@dataclass(frozen=True, kw_only=True)
class Entry:
    """Some images, and the settings that matter to reading them.

    In both, `source` is the name of the data.
    """

    requested: DataConfig
    """As they were given."""
    read: DataConfig
    """With the size and mode that were chosen."""
    images: Mapping[str, Any]
    """As `Source.identity`."""


class KnownImages:
    """What is known of the images that some results are about."""

    def __init__(self, results: Results):
        self.results = results
        self.path = results.path.with_name(f"{results.path.stem}-images.json")

    def match(
        self, requested: DataConfig, resolved: DataConfig, images: Mapping[str, Any]
    ) -> None:
        """Keep what the images of a problem are, or check that results are about these.

        Images without any result give way to others.

        Args:
            requested: settings of the problem; `source` is the name of the data.
            resolved: the same with the size and mode that were chosen.
            images: what tells them from others, as `Source.identity`.

        Raises:
            ValueError: if there are results of others under the same name.
        """
        entry = Entry(
            requested=reading(requested), read=reading(resolved), images=dict(images)
        )
        known = self._entries()
        for each in known:
            if _is_of(entry, each) and each.images != entry.images:
                self._refuse_results_of(each, entry)
        if entry not in known:
            # The same images may be asked for with their size and without.
            kept = [
                each
                for each in known
                if each.requested != entry.requested
                and (each.images == entry.images or not _is_of(entry, each))
            ]
            self._write([*kept, entry])

    def recall(self, requested: DataConfig) -> DataConfig:
        """The settings with the size and mode that results have, if there are any."""
        for each in self._entries():
            if each.requested == reading(requested):
                size, mode = each.read.image_size, each.read.mode
                return replace(requested, image_size=size, mode=mode)
        return requested

    def _refuse_results_of(self, began: Entry, now: Entry) -> None:
        if not self.results.have(began.read):
            return
        old, new = began.images, now.images
        differ = [key for key in {**old, **new} if old.get(key) != new.get(key)]
        raise ValueError(
            f"{self.results.path} holds results of other images called "
            f"{now.read.source!r} (other {', '.join(differ)}): give these another "
            "name, as --data NAME=FOLDER, or use another --out or --results"
        )

    def _entries(self) -> list[Entry]:
        if not self.path.exists():
            return []
        return [
            Entry(
                requested=from_dict(DataConfig, each["requested"]),
                read=from_dict(DataConfig, each["read"]),
                images=each["images"],
            )
            for each in json.loads(self.path.read_text())
        ]

    def _write(self, entries: Iterable[Entry]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_json(self.path, [asdict(each) for each in entries])


def _is_of(entry: Entry, other: Entry) -> bool:
    """Whether both are to be of the same images."""
    return entry.requested == other.requested or entry.read == other.read
