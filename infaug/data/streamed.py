"""A source whose training images are too many for memory, and stay in their files."""

from collections.abc import Mapping
from dataclasses import replace

import torch

from infaug.config import DataConfig
from infaug.data.classes import check_like_train, number_classes
from infaug.data.dataset import Labelled
from infaug.data.feed import Feed
from infaug.data.images import Source
from infaug.data.listing import Listed, listed
from infaug.data.stored import Stored, open_stored


def streamed(parts: Mapping[str, Listed], config: DataConfig, feed: Feed) -> Source:
    """Training images stay in their Parquet files; test images are decoded.

    Images that drive and choose may be trained on, pooled, so they are streamed from
    the same set: they have to be Parquet with the same class numbers.

    Raises:
        ValueError: for files that cannot be used, or classes that differ.
    """
    names = parts["train"].class_names
    drives, test = parts.get("val"), parts.get("test")
    files, is_tested_on_target = list(parts["train"].files), False
    if config.target_source is not None:
        files += drives.files if drives else ()  # `val` is trained on
        target = listed(config.target_source, config.of_target)
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
    return Source(train, decoded, (), held, is_tested_on_target)


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
