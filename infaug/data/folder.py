"""Images in folders named for their class, whatever lies above, below and beside them.

`class/name.jpg`, or `train/class/name.jpg` with `val` and `test` likewise, in any usual
spelling and below any folders that all images share. Images in folders of a class
folder belong to that class. Only names are looked at: folders, object stores and tars
are read by the same rules. What is not read is counted with the reason.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from infaug.data.names import (
    SPLITS,
    UNREAD,
    class_label,
    is_hidden,
    is_image,
    ordered_names,
    split_in,
    split_of,
    suffix_of,
)
from infaug.words import plural

RUN_FILES = frozenset(("config.json", "data.json"))  # a folder with both is a run
Parts = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Which file is of which split and class."""

    splits: dict[str, dict[str, list[str]]]
    """Names of files by split and class; splits and classes in order, files by name."""
    notes: tuple[str, ...] = ()
    """What was skipped or renamed, for people."""


@dataclass
class Seen:
    """What is skipped and renamed on the way."""

    skipped: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    nested: int = 0
    renamed: Counter[str] = field(default_factory=Counter)

    def notes(self) -> tuple[str, ...]:
        """A line for each kind."""
        lines = [
            f"skipped    {plural(len(names), 'file')} ({why}): {_some(names)}"
            for why, names in self.skipped.items()
        ]
        if self.nested:
            lines.append(
                f"nested     {plural(self.nested, 'image')} in folders of a class "
                "folder, taken as of that class"
            )
        lines += [
            f"renamed    {plural(num, 'image')} of class {name!r}: its name is spelled "
            "with separate accents"
            for name, num in self.renamed.items()
        ]
        return tuple(lines)


def class_folders(where: str, names: Iterable[str]) -> Layout:
    """Splits and classes of the files with these names, relative to `where`.

    Folders without an image are folders with a "/" at the end of their name.
    """
    seen = Seen()
    images = _images(names, seen)
    depth = _shared_depth(images.values())
    images = {name: parts[depth:] or parts[-1:] for name, parts in images.items()}
    tops = sorted({parts[0] for parts in images.values() if len(parts) > 1})
    if not tops:
        if images:
            seen.skipped["in no class folder"] += images
        return Layout(splits={}, notes=seen.notes())
    known = {top: split for top in tops if (split := split_of(top))}
    with_classes = {
        parts[0]
        for parts in images.values()
        if parts[0] in known and len(_unwrapped(parts)) > 2
    }
    if not known and (known := _split_words(images)):
        with_classes = set(known)
    _refuse_splits_without_classes(where, tops, known, with_classes)
    if any(known[top] == "train" for top in with_classes):
        splits = _by_split(where, images, known, seen)
    else:
        splits = {"train": _by_class(images, seen)}
    return Layout(splits=splits, notes=seen.notes())


def without_runs(names: Iterable[str]) -> list[str]:
    """Names below a folder, in order, but for the system's own and those of runs.

    A run's folder may lie in its data's: what infaug wrote is not what it is given.
    """
    shown = sorted(
        name for name in names if not any(map(is_hidden, PurePosixPath(name).parts))
    )
    held: dict[str, set[str]] = defaultdict(set)
    for name in shown:
        above, _, last = name.rpartition("/")
        held[above].add(last)
    runs = {above for above, files in held.items() if above and files >= RUN_FILES}
    if not runs:
        return shown
    return [
        name for name in shown if runs.isdisjoint(map(str, PurePosixPath(name).parents))
    ]


def _images(names: Iterable[str], seen: Seen) -> dict[str, Parts]:
    """Those that can be read, by name."""
    found = {}
    for name in without_runs(names):
        if name.endswith("/"):
            seen.skipped["a folder without an image"].append(name)
        elif is_image(name):
            found[name] = PurePosixPath(name).parts
        else:
            suffix = suffix_of(name)
            why = UNREAD.get(suffix, f"{suffix or 'no ending'}, not an image")
            seen.skipped[why].append(name)
    return found


def _shared_depth(images: Iterable[Parts]) -> int:
    """How many folders lie one in another with nothing beside them but loose images."""
    depth, below = 0, [parts for parts in images if len(parts) > 1]
    while below:
        tops = {parts[depth] for parts in below}
        deeper = [parts for parts in below if len(parts) > depth + 2]
        if len(tops) > 1 or not deeper or split_of(*tops):
            break
        depth, below = depth + 1, deeper
    return depth


def _split_words(images: dict[str, Parts]) -> dict[str, str]:
    """Top folders such as training_set and test_set, which hold the same classes."""
    classes: dict[str, set[str]] = defaultdict(set)
    for parts in map(_unwrapped, images.values()):
        if len(parts) > 2:
            classes[parts[0]].add(parts[1])
    found = {top: split for top in classes if (split := split_in(top))}
    train = [classes[top] for top, split in found.items() if split == "train"]
    of_train = set().union(*train)
    alike = {top: split for top, split in found.items() if classes[top] & of_train}
    return alike if len(set(alike.values())) > 1 else {}


def _unwrapped(parts: Parts) -> Parts:
    """Without a split's folder that is doubled: train/train/cat/1.jpg."""
    is_doubled = len(parts) > 3 and parts[0].lower() == parts[1].lower()
    return parts[1:] if is_doubled else parts


def _refuse_splits_without_classes(
    where: str, tops: Sequence[str], known: dict[str, str], with_classes: set[str]
) -> None:
    if len(known) < len(tops) and not with_classes:
        return  # train may be the class of trains
    flat = sorted(set(known) - with_classes)
    is_split = any(known[top] == "train" for top in with_classes)
    if flat and (is_split or len(known) > 1 or with_classes):
        raise ValueError(
            f"{where}: {', '.join(flat)} holds images but no class folders, and "
            f"{flat[0]!r} is the name of a split, not of a class: put images as "
            f"{flat[0]}/class/name.jpg, list paths and labels in a CSV or "
            f"metadata.jsonl and give that as the source, or move {flat[0]} away"
        )
    if with_classes and not is_split and len(known) == len(tops):
        raise ValueError(
            f"{where} has {', '.join(sorted(with_classes))} and no train folder: add "
            "train/class/name.jpg, or give the one folder to train on"
        )


def _by_split(
    where: str, images: dict[str, Parts], known: dict[str, str], seen: Seen
) -> dict[str, dict[str, list[str]]]:
    top_of: dict[str, str] = {}
    for top, split in known.items():
        if split in top_of:
            raise ValueError(
                f"{where} has both {top_of[split]} and {top}: join them, or take one "
                "away"
            )
        top_of[split] = top
    of_split: dict[str, dict[str, Parts]] = defaultdict(dict)
    for name, parts in images.items():
        if parts[0] in known and len(parts) > 1:
            of_split[known[parts[0]]][name] = _unwrapped(parts)[1:]
        else:
            seen.skipped["beside the splits"].append(name)
    return {
        split: _by_class(of_split[split], seen) for split in SPLITS if split in of_split
    }


def _by_class(images: dict[str, Parts], seen: Seen) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for name, parts in images.items():
        if len(parts) < 2:
            seen.skipped["in no class folder"].append(name)
            continue
        label = class_label(parts[0])
        seen.nested += len(parts) > 2
        if label != parts[0]:
            seen.renamed[label] += 1
        found[label].append(name)
    return {label: sorted(found[label]) for label in ordered_names(found)}


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
