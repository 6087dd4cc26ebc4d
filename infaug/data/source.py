"""A source by its name or path: images, labels and class names, all checked.

Every fault that the files can have is found here, before any training, and told with
the file or row at fault and with a remedy.
"""

import os
import warnings
from collections.abc import Mapping
from dataclasses import replace

import torch

from infaug.config import DataConfig
from infaug.data.classes import (
    check_enough,
    check_like_train,
    number_classes,
    numbered_as,
)
from infaug.data.dataset import Labelled
from infaug.data.decode import Decoder, change_lines
from infaug.data.digits import digits
from infaug.data.images import Source
from infaug.data.listing import Listed, listed
from infaug.data.reader import Feed, Threads
from infaug.data.stored import Stored, must_stream, open_stored
from infaug.storage import location
from infaug.words import plural, were


def load(config: DataConfig, feed: Feed | None = None) -> Source:
    """Read the images of `config.source`; warn if some were skipped.

    Training images too many for `config.stream_above_gib` stay stored, and `feed`
    decodes them when they are asked for: by default threads of this process.

    Raises:
        ValueError: if the source is missing, empty or of no known layout, or if a
            column, image, label or class is not as it must be.
    """
    decoder, notes = Decoder(config), []
    _refuse_itself(config)
    if config.source == "digits":
        mode = "RGB" if config.mode == "RGB" else "L"
        whole = digits(image_size=config.image_size or 16, mode=mode)
        source = Source(whole, None, ())
        settled = replace(config, image_size=whole.image_shape[1], mode=mode)
        decoder = Decoder(settled)
    else:
        parts = listed(config.source, config)
        notes += parts["train"].notes
        files = parts["train"].files
        if files and must_stream(files, config):
            source = streamed(parts, config, feed or Threads())
            _check_held_out(source, config)
            return source
        source = _decoded(parts, config, decoder)
    if config.target_source is not None:
        target = listed(config.target_source, config.of_target)
        notes += target["train"].notes
        source = _with_target(source, config, decoder, target)
    _check_held_out(source, config)
    if num := len(decoder.bad):
        few = "; ".join(decoder.bad[:3]) + ("; ..." if len(decoder.bad) > 3 else "")
        warnings.warn(
            f"{plural(num, 'unreadable image')} {were(num)} skipped: {few}",
            stacklevel=2,
        )
    notes += change_lines(decoder.changes)
    return replace(source, bad=tuple(decoder.bad), notes=tuple(notes))


def _refuse_itself(config: DataConfig) -> None:
    if config.target_source is None or config.source == "digits":
        return
    places = [location(each) for each in (config.source, config.target_source)]
    first, second = (os.path.realpath(p.base) if p.is_local else p for p in places)
    if first == second:
        raise ValueError(
            f"--target {config.target_source} is the data itself: give images of where "
            "the model will be used, or --target 200 to hold 200 of the data out"
        )


def _check_held_out(source: Source, config: DataConfig) -> None:
    """Refuse target images that are too few to be divided.

    Raises:
        ValueError: if there is not one of each class for each purpose.
    """
    if source.target is None:
        return
    least, why = 2, "one to drive and one to choose"
    if source.is_tested_on_target and source.test is None:
        least, why = 3, "one to drive, one to choose, one to test"
    where = config.target_source or f"the val split of {config.source}"
    names = source.train.class_names
    check_enough(source.target.labels, names, least, where, why)


def _decoded(
    parts: Mapping[str, Listed], config: DataConfig, decoder: Decoder
) -> Source:
    where, names = config.source, {}
    images, labels, names["train"] = decoder.read(parts["train"].items())
    classes = number_classes(where, labels, parts["train"].class_names)
    train, test, target = Labelled(images, labels, classes), None, None
    if "test" in parts:
        images, labels, names["test"] = decoder.read(parts["test"].items())
        check_like_train(where, "test", classes, labels, parts["test"].class_names)
        test = Labelled(images, labels, classes)
    if "val" in parts:
        target, names["target"] = _matched(parts["val"], classes, decoder, where)
    source = Source(train, test, (), target, names=names)
    if "val" in parts and config.target_source is not None:
        source = _join_val(source, where)
    return source


def _matched(
    part: Listed, classes: tuple[str, ...], decoder: Decoder, where: str
) -> tuple[Labelled, tuple[str, ...]]:
    """Images whose classes are those of train by name, and what they are called."""
    images, labels, names = decoder.read(part.items())
    labels = numbered_as(classes, labels, part.class_names, where)
    return Labelled(images, labels, classes), names


def _join_val(source: Source, where: str) -> Source:
    """`val` among the training images: target images drive and choose in its place."""
    assert isinstance(source.train, Labelled)
    assert isinstance(source.target, Labelled)
    warnings.warn(
        f"{where}: its val split is trained on, as the images of the target are there "
        "to drive E and to choose",
        stacklevel=4,
    )
    names = dict(source.names)
    names["train"] = (*names["train"], *names.pop("target"))
    train = source.train + source.target
    return replace(source, train=train, target=None, names=names)


def _with_target(
    source: Source,
    config: DataConfig,
    decoder: Decoder,
    parts: Mapping[str, Listed],
) -> Source:
    """The source with the images of `target_source`, which drive, choose and test."""
    assert isinstance(source.train, Labelled)
    where = config.target_source
    assert where is not None
    classes = source.train.class_names
    held = [
        _matched(parts[name], classes, decoder, where)
        for name in ("train", "val")
        if name in parts
    ]
    target, names = held[0]
    for more, called in held[1:]:
        target, names = target + more, (*names, *called)
    own_test = None
    if "test" in parts:
        own_test = _matched(parts["test"], classes, decoder, where)
    return _tested(replace(source, target=target), config, own_test, names)


def _tested(
    source: Source,
    config: DataConfig,
    own_test: tuple[Labelled, tuple[str, ...]] | None,
    names: tuple[str, ...],
) -> Source:
    """What the last number is about: target's images, or the source's test split."""
    if config.test_from == "source":
        if source.test is None:
            raise ValueError(
                f"data.test_from source: {config.source} has no test split; add one, "
                "or leave it at target"
            )
        return replace(source, names={**source.names, "target": names})
    if source.test is not None:
        warnings.warn(
            f"the test split of {config.source} is not looked at: test images are "
            f"those of {config.target_source}, where the model will be used "
            "(--data.test-from source changes that)",
            stacklevel=4,
        )
    kept = {k: v for k, v in source.names.items() if k != "test"} | {"target": names}
    if own_test is None:
        return replace(source, test=None, is_tested_on_target=True, names=kept)
    test, called = own_test
    return replace(source, test=test, names=kept | {"test": called})


def streamed(parts: Mapping[str, Listed], config: DataConfig, feed: Feed) -> Source:
    """Training images stay in their Parquet files; test images are decoded.

    Images that drive and choose may be trained on, pooled, so they are streamed from
    the same set: they have to be Parquet with the same class numbers.

    Raises:
        ValueError: for files that cannot be used, or classes that differ.
    """
    names = parts["train"].class_names
    drives, test = parts.get("val"), parts.get("test")
    notes = parts["train"].notes
    files, is_tested_on_target = list(parts["train"].files), False
    if config.target_source is not None:
        files += drives.files if drives else ()  # `val` is trained on
        target = listed(config.target_source, config.of_target)
        notes += target["train"].notes
        drives = target["train"]
        if config.test_from == "target":
            test = target.get("test")
            is_tested_on_target = test is None
        elif test is None:
            raise ValueError(
                f"data.test_from source: {config.source} has no test split; add one, "
                "or leave it at target"
            )
    train = open_stored(files, config, names, feed)
    classes = number_classes(config.source, train.labels, names)
    train = replace(train, class_names=classes)
    held = None
    if drives is not None:
        train, held = _with(train, files, drives, config, feed, names)
    decoded = _test(test, classes, config, feed) if test else None
    return Source(train, decoded, (), held, is_tested_on_target, notes=notes)


def _with(
    train: Stored,
    files: list,
    drives: Listed,
    config: DataConfig,
    feed: Feed,
    names: tuple[str, ...] | None,
) -> tuple[Stored, Stored]:
    """Training images and those that drive and choose, as parts of one set."""
    where = config.target_source or f"val of {config.source}"
    if not drives.files or drives.class_names != names:
        raise ValueError(
            f"{where}: the training images are streamed, so these must be Parquet with "
            "the same `class_names`: write them so, or raise --data.stream-above-gib"
        )
    whole = open_stored([*files, *drives.files], config, names, feed)
    whole = replace(whole, class_names=train.class_names)
    if int(whole.labels.max()) >= whole.num_classes:
        raise ValueError(
            f"{where} has label {int(whole.labels.max())}, and train only classes "
            f"0..{whole.num_classes - 1}: give both the same classes"
        )
    here = torch.arange(len(whole)) < len(train)
    return whole.part(here.nonzero()[:, 0]), whole.part((~here).nonzero()[:, 0])


def _test(
    part: Listed, classes: tuple[str, ...], config: DataConfig, feed: Feed
) -> Labelled:
    stored = open_stored(part.files, config, part.class_names, feed)
    check_like_train(config.source, "test", classes, stored.labels, part.class_names)
    return replace(stored, class_names=classes).select_all()
