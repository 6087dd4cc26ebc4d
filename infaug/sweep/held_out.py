"""Test images set aside before a sweep begins, so that no trial can look at them."""

from dataclasses import replace

import torch

from infaug.config import DataConfig
from infaug.data.dataset import Labelled
from infaug.data.shift import apply_shift
from infaug.data.source import Source
from infaug.data.splits import split
from infaug.data.stored import Stored


def without_test(source: Source, config: DataConfig) -> Source:
    """The source as trials see it: its test split has no image.

    Without a test split of its own, the images that `config.test` holds out for the
    first repetition are left out, whatever the repetition: so seeds that are compared
    later train on and choose by other images, but never by those of the last number.
    """
    train = source.train
    none = train.select(torch.arange(0))
    if source.test is not None:
        return replace(source, test=none)
    test = split(train.labels, config, test_given=False).test
    is_left = torch.ones(len(train.labels), dtype=torch.bool)
    is_left[test] = False
    at = is_left.nonzero().squeeze(1)
    rest = train.part(at) if isinstance(train, Stored) else train.select(at)
    return replace(source, train=rest, test=none)


def images_of_test(source: Source, config: DataConfig) -> Labelled:
    """What `without_test` set aside, shifted as test images are."""
    images = source.test
    if images is None:
        at = split(source.train.labels, config, test_given=False).test
        images = source.train.select(at)
    if "test" not in config.shift.splits:
        return images
    return replace(images, images=apply_shift(images.images, config.shift))
