"""All images of a source, before they are divided by purpose."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from infaug.data.dataset import Labelled
from infaug.data.digests import Digests, digests_of
from infaug.data.stored import Stored


@dataclass(frozen=True, eq=False)
class Source:
    """All images of a source; `test` is None if it comes without a test split."""

    train: Labelled | Stored
    test: Labelled | None
    bad: tuple[str, ...]
    """Images that were skipped as unreadable: file or row, and the reason."""
    target: Labelled | Stored | None = None
    """Images that drive and choose: of `data.target_source`, or the `val` split; None:
    they are held out of `train`."""
    is_tested_on_target: bool = False
    """Whether the test images are held out of `target` where `test` is None."""
    names: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Files, or files and rows, of `train`, `test` and `target`, if they are known."""
    notes: tuple[str, ...] = ()
    """What was skipped, renamed, turned, composited or rescaled, for people."""

    @property
    def identity(self) -> dict[str, Any]:
        """What tells these images from others, for a file."""
        found: dict[str, Any] = {
            "classes": list(self.train.class_names),
            "image shape": list(self.train.image_shape),
        }
        for name, part in self.parts.items():
            found[f"{name} images"] = len(part)
            found[f"{name} checksum"] = part.checksum
        return found

    @property
    def parts(self) -> dict[str, Labelled | Stored]:
        """The sets there are: `train`, and `test` and `target` if they are."""
        all_ = {"train": self.train, "test": self.test, "target": self.target}
        return {name: part for name, part in all_.items() if part is not None}

    @cached_property
    def digests(self) -> Mapping[str, Digests]:
        """A hash of the pixels of each image in memory, by part."""
        return {
            name: digests_of(part.images)
            for name, part in self.parts.items()
            if isinstance(part, Labelled)
        }

    def name_of(self, part: str, position: int) -> str:
        """What a message should call an image."""
        names = self.names.get(part)
        return names[position] if names else f"{part} image {position}"
