"""What is to be known about a source before anything is trained, in lines."""

from collections.abc import Sequence
from dataclasses import replace

from infaug.config import DataConfig
from infaug.data.class_sizes import UNEVEN, balanced
from infaug.data.classes import alike_names, joined_names
from infaug.data.decode import change_lines
from infaug.data.images import Duplicate, Source, duplicates
from infaug.data.on_disk import OnDisk
from infaug.data.problem import positions
from infaug.data.splits import Indices
from infaug.data.survey import sampled_changes
from infaug.words import are, plural

FEW = 10  # training images of a class
NAMED = 3


def inspect(source: Source, config: DataConfig) -> list[str]:
    """Images, classes, unreadable files and duplicates, for the first repetition."""
    at = positions(source, config)
    lines = [*roles(source, at, config), _classes(source)]
    train = source.train
    counts = train.labels[at.train].bincount(minlength=train.num_classes).tolist()
    counted = zip(train.class_names, counts, strict=True)
    if few := [f"{name} ({count})" for name, count in counted if count < FEW]:
        lines.append(
            f"few        {plural(len(few), 'class')} with under {FEW} images to train "
            f"on: {_some(few)}"
        )
    num = len(balanced(at.train, train.labels, config))
    if num > len(at.train) and not isinstance(train, OnDisk):
        lines.append(
            f"balance    rare classes are repeated: {len(at.train):,} images count as "
            f"{num:,} (--data.balance)"
        )
    lines += notes_of(source)
    lines += [
        f"alike      classes {a!r} and {b!r} differ in case or spaces alone: one class?"
        for a, b in alike_names(train.class_names)
    ]
    lines += [
        f"alike      class {name!r} lists others: give each image one label"
        for name in joined_names(train.class_names)
    ]
    if source.bad:
        num = len(source.bad)
        done = "skipped"
        if num > config.max_bad_images:
            ends = "ends" if num == 1 else "end"
            done = f"that {ends} a run without --data.max-bad-images {num}"
        lines.append(f"unreadable {num:,} {done}: {_some(source.bad)}")
    if isinstance(train, OnDisk):
        lines.append("duplicates not looked for: the images are streamed")
    else:
        lines.append(_duplicates(twins_in(source, config, 0), config))
        lines += _conflicts(source)
    return lines


def notes_of(source: Source) -> list[str]:
    """What was skipped, renamed or changed, in lines.

    Streamed images are changed as they are decoded, so some of them are looked at.
    """
    if not isinstance(source.train, OnDisk):
        return list(source.notes)
    changes, num = sampled_changes(source.train)
    return [*source.notes, *change_lines(changes, f" of {num:,} looked at")]


def twins_in(source: Source, config: DataConfig, repetition: int) -> list[Duplicate]:
    """Images that would be in two splits of a repetition if none were left out."""
    at = positions(source, replace(config, drop_duplicates=False), repetition)
    return duplicates(source, at, is_folded=bool(config.folds))


def _classes(source: Source) -> str:
    train = source.train
    counts = train.labels.bincount(minlength=train.num_classes)
    order = counts.argsort(descending=True, stable=True).tolist()
    named = _some([f"{train.class_names[i]} ({int(counts[i])})" for i in order], 5)
    ratio = float(counts.max() / counts.min())
    uneven = f"; uneven, {ratio:.1f} to 1" if ratio >= UNEVEN else ""
    return f"classes    {train.num_classes}: {named}{uneven}"


def _duplicates(found: Sequence[Duplicate], config: DataConfig) -> str:
    if not found:
        return "duplicates none: no image is in two splits"
    named = _some([f"{each.name} = {each.twin}" for each in found])
    done = "left out" if config.drop_duplicates else "KEPT"
    return (
        f"duplicates {plural(len(found), 'image')} {are(len(found))} in two splits and "
        f"{done} of the one that is trained on: {named}"
    )


def _conflicts(source: Source) -> list[str]:
    """A line about images whose pixels are in two classes."""
    first: dict[bytes, tuple[str, str]] = {}
    found = []
    for part, digests in source.digests.items():
        labels = source.parts[part].labels.tolist()
        for at, (digest, label) in enumerate(zip(digests, labels, strict=True)):
            name, own = source.name_of(part, at), source.train.class_names[label]
            twin, other = first.setdefault(digest, (name, own))
            if own != other:
                found.append(f"{name} ({own}) = {twin} ({other})")
    if not found:
        return []
    return [
        f"conflicts  {plural(len(found), 'image')} with the same pixels in another "
        f"class: {_some(found)}"
    ]


def _some(names: Sequence[str], most: int = NAMED) -> str:
    more = f", ... ({len(names) - most} more)" if len(names) > most else ""
    return ", ".join(names[:most]) + more


HELD_OUT = "held out of it"


def roles(source: Source, at: Indices, config: DataConfig) -> list[str]:
    """A line each for images that train, that drive, that choose and that test."""
    test = len(at.test) if source.test is None else len(source.test)
    held = _held_in(source, config)
    if config.folds:
        num = len((source.target or source.train).labels)
        where = f" {held}" if source.target else ""
        return [
            _trains(source, at),
            f"folds      {config.folds} of {plural(num, 'image')}{where}: each is "
            "judged by classifiers that did not see it, which use all the others",
            f"in each    {len(at.test):,} are judged, "
            f"{len(at.influence) + len(at.selection):,} teach; where E learns, "
            f"{len(at.selection):,} of these choose instead",
        ]
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
