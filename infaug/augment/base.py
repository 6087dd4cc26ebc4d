"""The base augmentation by name.

A name is parts joined by `+`, each with its numbers: `affine`, `affine:40` (degrees),
`affine:40x1.5` (and strength), `crop_flip`, `resized_crop_flip`, `randaugment:9`
(magnitude), `trivial`, `autoaugment:cifar10` (the data its policy was searched on),
`augmix:3` (severity), `erasing:0.5` (probability), `none`.
"""

from collections.abc import Callable

from infaug.augment.affine import RandomAffine
from infaug.augment.aug_mix import AugMix
from infaug.augment.auto_augment import AutoAugment
from infaug.augment.compose import Compose
from infaug.augment.crop import CropFlip, ResizedCropFlip
from infaug.augment.identity import Identity
from infaug.augment.rand_augment import RandAugment
from infaug.augment.random_erasing import RandomErasing
from infaug.augment.trivial_augment import TrivialAugment
from infaug.types import Augment

_KINDS: dict[str, Callable[..., Augment]] = {
    "none": Identity,
    "affine": RandomAffine,
    "crop_flip": CropFlip,
    "resized_crop_flip": ResizedCropFlip,
    "randaugment": RandAugment,
    "trivial": TrivialAugment,
    "autoaugment": AutoAugment,
    "augmix": AugMix,
    "erasing": RandomErasing,
}
_OF_WORDS = ("autoaugment",)  # what follows the colon is no number


def build_base(name: str) -> Augment:
    """The base augmentation called `name`.

    >>> type(build_base("affine:40x1.5")).__name__
    'RandomAffine'

    Raises:
        ValueError: if a part of `name` is no augmentation, as `auto` is none until the
            plan has settled it, or its numbers do not fit.
    """
    parts = [_part(word, name) for word in name.split("+")]
    return parts[0] if len(parts) == 1 else Compose(*parts)


def after_crop(name: str) -> str | None:
    """What is left of a base whose random crop was made while images were decoded.

    None if it does not begin with that crop.

    >>> after_crop("resized_crop_flip+randaugment:9"), after_crop("resized_crop_flip")
    ('randaugment:9', 'none')
    """
    first, _, rest = name.partition("+")
    return (rest or "none") if first == "resized_crop_flip" else None


def _part(word: str, name: str) -> Augment:
    kind, _, numbers = word.partition(":")
    if kind not in _KINDS:
        raise ValueError(
            f"rounds.base: {kind!r} in {name!r} is not an augmentation: use one of "
            f"{', '.join(_KINDS)}, or several joined by +"
        )
    try:
        if kind in _OF_WORDS:
            return _KINDS[kind](*([numbers] if numbers else []))
        return _KINDS[kind](*(float(n) for n in numbers.split("x") if numbers))
    except (TypeError, ValueError) as error:
        raise ValueError(f"rounds.base: {word!r} in {name!r}: {error}") from error
