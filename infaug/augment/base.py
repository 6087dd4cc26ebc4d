"""The base augmentation by name; each is fixed across all tables."""

from infaug.augment.affine import RandomAffine
from infaug.augment.crop import CropFlip, ResizedCropFlip
from infaug.augment.identity import Identity
from infaug.config import Base
from infaug.types import Augment


def build_base(name: Base) -> Augment:
    """The base augmentation called `name`.

    Raises:
        ValueError: if `name` is `auto`, which the plan must settle first.
    """
    kinds: dict[str, type] = {
        "none": Identity,
        "affine": RandomAffine,
        "crop_flip": CropFlip,
        "resized_crop_flip": ResizedCropFlip,
    }
    if name not in kinds:
        raise ValueError(f"rounds.base: {name!r} is not an augmentation")
    return kinds[name]()
