"""Test images set aside before a sweep begins, so that no trial can look at them."""

from collections.abc import Collection
from dataclasses import replace

import torch
from jaxtyping import Int64
from torch import Tensor

from infaug.config import DataConfig
from infaug.data.dataset import Labelled, digests_of
from infaug.data.images import Source
from infaug.data.problem import altered, positions
from infaug.data.stored import Stored


def without_test(source: Source, config: DataConfig) -> Source:
    """The source as trials see it: its test split has no image.

    Without a test split of its own, the images that `config.test` holds out for the
    first repetition are left out, whatever the repetition: so seeds that are compared
    later train on and choose by other images, but never by those of the last number.
    Nor by copies of them, unless `config.drop_duplicates` is off.
    """
    test, held = _test_of(source, config)
    known = set(digests_of(test.images)) if config.drop_duplicates else set()
    of_target = source.is_tested_on_target
    train, target = source.train, source.target
    kept = {"train": _kept(train, held if not of_target else held[:0], known)}
    if target is not None:
        kept["target"] = _kept(target, held if of_target else held[:0], known)
    return replace(
        source,
        train=_part(train, kept["train"]),
        target=None if target is None else _part(target, kept["target"]),
        test=train.select(torch.arange(0)),
        names={
            part: [names[at] for at in kept[part].tolist()]
            for part, names in source.names.items()
            if part in kept and names
        },
    )


def images_of_test(source: Source, config: DataConfig) -> Labelled:
    """What `without_test` set aside, changed as test images are."""
    return altered(_test_of(source, config)[0], "test", config)


def _test_of(
    source: Source, config: DataConfig
) -> tuple[Labelled, Int64[Tensor, "test"]]:
    """The test images, and where among the others they lie."""
    if source.test is not None:
        return source.test, torch.arange(0)
    at = positions(source, config).test
    whole = source.target if source.is_tested_on_target else source.train
    assert whole is not None, "what is tested on is there"
    return whole.select(at), at


def _kept(
    part: Labelled | Stored, held: Int64[Tensor, "test"], known: Collection[bytes]
) -> Int64[Tensor, "kept"]:
    is_kept = torch.ones(len(part.labels), dtype=torch.bool)
    is_kept[held] = False
    # The pixels of images that are streamed are not known.
    if known and isinstance(part, Labelled):
        copies = [digest in known for digest in digests_of(part.images)]
        is_kept[torch.tensor(copies, dtype=torch.bool)] = False
    return is_kept.nonzero().squeeze(1)


def _part(whole: Labelled | Stored, at: Int64[Tensor, "kept"]) -> Labelled | Stored:
    return whole.part(at) if isinstance(whole, Stored) else whole.select(at)
