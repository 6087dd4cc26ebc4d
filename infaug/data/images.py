"""All images of a source, before they are divided by purpose."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

import torch
from jaxtyping import Int64
from torch import Tensor

from infaug.data.dataset import Digests, Labelled, digests_of
from infaug.data.on_disk import ImageSet
from infaug.data.splits import Indices


@dataclass(frozen=True, eq=False)
class Source:
    """All images of a source; `test` is None if it comes without a test split."""

    train: ImageSet
    test: ImageSet | None
    bad: tuple[str, ...]
    """Images that were skipped as unreadable: file or row, and the reason."""
    target: ImageSet | None = None
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
    def parts(self) -> dict[str, ImageSet]:
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


def of_classes(source: Source, num: int) -> Source:
    """The images of `num` of the classes, evenly spaced in their order, renumbered.

    Raises:
        ValueError: if there are fewer.
    """
    num_all = source.train.num_classes
    if num > num_all:
        raise ValueError(f"data.classes: {num} are wanted, and there are {num_all}")
    chosen = [(2 * number + 1) * num_all // (2 * num) for number in range(num)]
    names = {
        part: [
            name
            for name, label in zip(known, source.parts[part].labels, strict=True)
            if int(label) in chosen
        ]
        for part, known in source.names.items()
        if known
    }
    parts: dict[str, Any] = {k: v.of_classes(chosen) for k, v in source.parts.items()}
    return replace(source, **parts, names=names)


class Duplicate(NamedTuple):
    """An image that is left out of a split, for its copy is in another one."""

    split: str
    """What it is left out of: train, unlabelled, influence or selection."""
    position: int
    """Where it lies in the part of the source that this split is of."""
    name: str
    """What it is called."""
    held: str
    """The split of its copy."""
    twin: str
    """What the copy is called."""


def duplicates(
    source: Source, at: Indices, *, is_folded: bool = False
) -> list[Duplicate]:
    """Images that are also in a split that comes before theirs.

    Images that are streamed are left out of it: their pixels are not known.
    """
    first: dict[bytes, tuple[str, str]] = {}
    found = []
    for split, part, places in _in_order(source, at, is_folded=is_folded):
        digests = source.digests[part]
        new: dict[bytes, tuple[str, str]] = {}
        # Images that G is shown without their labels may be training images as well.
        first = {k: v for k, v in first.items() if v[0] != "train"}
        for place in places.tolist():
            name = source.name_of(part, place)
            if (held := first.get(digests[place])) is not None:
                found.append(Duplicate(split, place, name, *held))
            new.setdefault(digests[place], (split, name))
        first = new | first
    return found


def without_duplicates(
    source: Source, at: Indices, *, is_folded: bool = False
) -> Indices:
    """The same division without them; `is_folded`: tests are target images."""
    found = duplicates(source, at, is_folded=is_folded)
    if not found:
        return at
    kept = {}
    for split in {each.split for each in found}:
        gone = torch.tensor([each.position for each in found if each.split == split])
        before = getattr(at, split)
        kept[split] = before[torch.isin(before, gone, invert=True)]
    remains = replace(at, **kept)
    labels, like = source.train.labels, found[0]
    lost = set(labels[at.train].tolist()) - set(labels[remains.train].tolist())
    if lost or not (len(remains.influence) and len(remains.selection)):
        if len(set(source.digests[_held_part(source)])) == 1:
            raise ValueError(
                f"all images of {_held_part(source)} have the same pixels, as "
                f"{like.name} and {like.twin}: see that they are not black or damaged"
            )
        what = f"class {source.train.class_names[min(lost)]!r}" if lost else "a split"
        raise ValueError(
            f"every image of {what} is in another split as well; the first that is in "
            f"two is {like.name}, the same as {like.twin}: take the copies out, or "
            "allow them with --data.drop-duplicates False"
        )
    return remains


def _held_part(source: Source) -> str:
    return "train" if source.target is None else "target"


def _in_order(
    source: Source, at: Indices, *, is_folded: bool
) -> list[tuple[str, str, Int64[Tensor, "n"]]]:
    """Split, the part of the source it is of, and its positions there."""
    held = _held_part(source)
    tested = held if source.is_tested_on_target or is_folded else "train"
    test = at.test
    if source.test is not None and not is_folded:
        tested, test = "test", torch.arange(len(source.test))
    order = [
        ("test", tested, test), ("selection", held, at.selection),
        ("influence", held, at.influence), ("train", "train", at.train),
        ("unlabelled", "train", at.unlabelled),
    ]  # fmt: skip
    return [each for each in order if each[1] in source.digests]
