"""A source by its name or path: images, labels and class names, all checked.

Every fault that the files can have is found here, before any training, and reported
with the file or row at fault and with a remedy.
"""

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from infaug.config import DataConfig
from infaug.data.classes import (
    check_enough,
    number_classes,
    numbered_as,
    warn_of_missing,
)
from infaug.data.dataset import Labelled
from infaug.data.decode import Decoder, change_lines
from infaug.data.digits import digits
from infaug.data.images import Source, of_classes
from infaug.data.listing import Listed, listed
from infaug.data.loader import Loader, load_in_threads
from infaug.data.on_disk import must_stream, open_on_disk
from infaug.data.parquet import num_rows
from infaug.storage import location
from infaug.words import plural, were


def load(config: DataConfig, loader: Loader | None = None) -> Source:
    """Read the images of `config.source`; warn if some were skipped.

    Training images too many for `config.stream_above_gib` stay on disk, and `loader`
    decodes them when they are needed: by default threads of this process.

    Raises:
        ValueError: if the source is missing, empty or of no known layout, if a
            column, image, label or class is not as it must be, or if there are fewer
            than `config.classes`.
    """
    _refuse_itself(config)
    roles = _roles(config)
    if config.source == "digits":
        mode = "RGB" if config.mode == "RGB" else "L"
        train = digits(image_size=config.image_size or 16, mode=mode)
        decoder = Decoder(replace(config, image_size=train.image_shape[1], mode=mode))
        source = _with_held_out(Source(train, None, ()), roles, config, decoder)
    else:
        decoder, files = Decoder(config), roles.train[0].files
        if files and must_stream(files, config):
            source = _streamed(roles, config, decoder, loader or load_in_threads)
        else:
            source = _in_memory(roles, config, decoder)
    if config.classes is not None:
        source = of_classes(source, config.classes)
    _check_held_out(source, config)
    if num := len(decoder.bad):
        few = "; ".join(decoder.bad[:3]) + ("; ..." if len(decoder.bad) > 3 else "")
        warnings.warn(
            f"{plural(num, 'unreadable image')} {were(num)} skipped: {few}",
            stacklevel=2,
        )
    notes = (*roles.notes, *change_lines(decoder.changes))
    return replace(source, bad=tuple(decoder.bad), notes=notes)


def _refuse_itself(config: DataConfig) -> None:
    if config.target_source is None or config.source == "digits":
        return
    paths = [location(each) for each in (config.source, config.target_source)]
    first, second = (os.path.realpath(p.base) if p.is_local else p for p in paths)
    if first == second:
        raise ValueError(
            f"--target {config.target_source} is the data itself: give images of where "
            "the model will be used, or --target 200 to hold 200 of the data out"
        )


@dataclass(frozen=True, kw_only=True)
class Roles:
    """What the splits of a source, and of its target, are used for."""

    train: Sequence[Listed] = ()
    """The first one numbers the classes; empty for digits."""
    target: Sequence[Listed] = ()
    test: Listed | None = None
    is_tested_on_target: bool = False
    """Whether test images are held out of the target images."""
    notes: tuple[str, ...] = ()


def _roles(config: DataConfig) -> Roles:
    own = {} if config.source == "digits" else listed(config.source, config)
    train = [own["train"]] if own else []
    val = [own["val"]] if "val" in own else []
    notes = own["train"].notes if own else ()
    if config.target_source is None:
        return Roles(train=train, target=val, test=own.get("test"), notes=notes)
    if val:
        warnings.warn(
            f"{config.source}: its val split is trained on, as the images of the "
            "target are there to drive E and to choose",
            stacklevel=3,
        )
    there = listed(config.target_source, config.of_target)
    on_target, test = config.test_from == "target", own.get("test")
    if not on_target and test is None:
        raise ValueError(
            f"data.test_from source: {config.source} has no test split; add one, or "
            "leave it at target"
        )
    if on_target and test is not None:
        warnings.warn(
            f"the test split of {config.source} is not looked at: test images are "
            f"those of {config.target_source} (--data.test-from source changes that)",
            stacklevel=3,
        )
    return Roles(
        train=train + val,
        target=[there[name] for name in ("train", "val") if name in there],
        test=there.get("test") if on_target else test,
        is_tested_on_target=on_target and "test" not in there,
        notes=(*notes, *there["train"].notes),
    )


def _in_memory(roles: Roles, config: DataConfig, decoder: Decoder) -> Source:
    first, *more = roles.train
    images, labels, names = decoder.read(first.items())
    classes = number_classes(config.source, labels, first.class_names)
    train = Labelled(images, labels, classes)
    for part in more:
        images, names_of_part = _matched(part, classes, decoder, config.source)
        train, names = train + images, names + names_of_part
    source = Source(train, None, (), names={"train": names})
    return _with_held_out(source, roles, config, decoder)


def _with_held_out(
    source: Source, roles: Roles, config: DataConfig, decoder: Decoder
) -> Source:
    """The source with its test and target images, decoded."""
    classes, names = source.train.class_names, dict(source.names)
    where, test, target = config.target_source or config.source, None, None
    if roles.test is not None:
        place = _place_of_test(config)
        test, names["test"] = _matched(roles.test, classes, decoder, place)
    for part in roles.target:
        images, more = _matched(part, classes, decoder, where)
        target = images if target is None else target + images
        names["target"] = (*names.get("target", ()), *more)
    return replace(
        source,
        test=test,
        target=target,
        names=names,
        is_tested_on_target=roles.is_tested_on_target,
    )


def _matched(
    part: Listed, classes: tuple[str, ...], decoder: Decoder, where: str
) -> tuple[Labelled, tuple[str, ...]]:
    """Images whose classes are those of train by name, and what they are called."""
    images, labels, names = decoder.read(part.items())
    labels = numbered_as(classes, labels, part.class_names, where)
    return Labelled(images, labels, classes), names


def _streamed(
    roles: Roles, config: DataConfig, decoder: Decoder, loader: Loader
) -> Source:
    """Images stay in their Parquet files.

    Target images may be trained on, pooled, so they are streamed from the same set:
    they have to be Parquet with the same class numbers.
    """
    names = roles.train[0].class_names
    where = config.target_source or f"val of {config.source}"
    for part in (*roles.train, *roles.target):
        if not part.files or part.class_names != names:
            raise ValueError(
                f"{where}: the training images are streamed, so these must be Parquet "
                "with the same `class_names`: write them so, or raise "
                "--data.stream-above-gib"
            )
    files = [file for part in roles.train for file in part.files]
    held_out = [file for part in roles.target for file in part.files]
    whole = open_on_disk([*files, *held_out], config, names, loader)
    is_train = torch.arange(len(whole)) < num_rows(files)
    classes = number_classes(config.source, whole.labels[is_train], names)
    if int(whole.labels.max()) >= len(classes):
        raise ValueError(
            f"{where} has label {int(whole.labels.max())}, and train only classes "
            f"0..{len(classes) - 1}: give both the same classes"
        )
    whole = replace(whole, class_names=classes)
    train = whole.part(is_train.nonzero()[:, 0])
    target = whole.part((~is_train).nonzero()[:, 0]) if held_out else None
    test = None
    place, part = _place_of_test(config), roles.test
    if part is not None and part.files:
        tested = open_on_disk(part.files, config, part.class_names, loader)
        labels = numbered_as(classes, tested.labels, part.class_names, place)
        test = replace(tested, labels=labels, class_names=classes)
    elif part is not None:
        test, _ = _matched(part, classes, decoder, place)
    return Source(train, test, (), target, roles.is_tested_on_target)


def _place_of_test(config: DataConfig) -> str:
    of_target = config.test_from == "target" and config.target_source
    return f"the test split of {of_target or config.source}"


def _check_held_out(source: Source, config: DataConfig) -> None:
    """Refuse target images that are too few to be divided."""
    names = source.train.class_names
    if source.test is not None:
        warn_of_missing(source.test.labels, names, "the test split")
    if source.target is None:
        return
    min_images, why = 2, "one to drive and one to choose"
    if source.is_tested_on_target and source.test is None:
        min_images, why = 3, "one to drive, one to choose, one to test"
    where = config.target_source or f"the val split of {config.source}"
    check_enough(source.target.labels, names, min_images, where, why)
    warn_of_missing(source.target.labels, names, where)
