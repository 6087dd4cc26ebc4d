"""The base augmentation by name.

A name is parts joined by `+`, each with its numbers: `affine`, `affine:40` (degrees),
`affine:40x1.5` (and strength), `crop`, `crop_flip`, `resized_crop_flip`,
`resized_crop_flip:0.5` (smallest area), `randaugment:9` (magnitude), `trivial`,
`autoaugment:cifar10` (the data its policy was searched on), `augmix:3` (severity),
`erasing:0.5` (probability), `jitter:0.3` (colours, by up to that factor), `blur:1.5`
(pixels), `flip:0.5` and `invert:0.5` (probability), `none`.

The last part may be a mixer, which changes labels as well: `mixup:0.2`, `cutmix:1`
(alpha). It is no `Augment`, so a base is built in two pieces.
"""

from collections.abc import Callable, Mapping
from typing import TypeVar

from infaug.augment.geometric import Crop, CropFlip, RandomAffine, ResizedCropFlip
from infaug.augment.mixing import CutMix, MixUp
from infaug.augment.policies import (
    aug_mix,
    auto_augment,
    color_jitter,
    gaussian_blur,
    rand_augment,
    random_erasing,
    random_flip,
    random_inversion,
    trivial_augment,
)
from infaug.augment.views import Compose, Identity
from infaug.types import Augment, Mixer

T = TypeVar("T")

_KINDS: dict[str, Callable[..., Augment]] = {
    "none": Identity,
    "affine": RandomAffine,
    "crop": Crop,
    "crop_flip": CropFlip,
    "resized_crop_flip": ResizedCropFlip,
    "randaugment": rand_augment,
    "trivial": trivial_augment,
    "autoaugment": auto_augment,
    "augmix": aug_mix,
    "erasing": random_erasing,
    "jitter": color_jitter,
    "blur": gaussian_blur,
    "flip": random_flip,
    "invert": random_inversion,
}
_MIXERS: dict[str, Callable[..., Mixer]] = {"mixup": MixUp, "cutmix": CutMix}
_OF_WORDS = ("autoaugment",)  # what follows the colon is no number


def build_base(name: str) -> Augment:
    """What the base called `name` does to each image by itself: all but its mixer.

    >>> type(build_base("affine:40x1.5")).__name__
    'RandomAffine'

    Raises:
        ValueError: if a part of `name` is no augmentation, as `auto` is none until the
            plan has resolved it, or its numbers do not fit.
    """
    words, _ = _without_mixer(name)
    parts = [_built(_KINDS, word, name) for word in words or ["none"]]
    return parts[0] if len(parts) == 1 else Compose(*parts)


def build_mixer(name: str) -> Mixer | None:
    """The mixer with which the base called `name` ends, or None.

    >>> type(build_mixer("affine+mixup:0.2")).__name__, build_mixer("affine")
    ('MixUp', None)

    Raises:
        ValueError: if its alpha cannot be.
    """
    _, mixer = _without_mixer(name)
    return None if mixer is None else _built(_MIXERS, mixer, name)


def joined(base: str, part: str) -> str:
    """`base` with one more part; its mixer stays last.

    >>> joined("affine", "mixup:0.2"), joined("affine+cutmix:1", "trivial")
    ('affine+mixup:0.2', 'affine+trivial+cutmix:1')

    Raises:
        ValueError: if both mix.
    """
    words, mixer = _without_mixer(base)
    if mixer is None:
        return f"{base}+{part}"
    if _kind(part) in _MIXERS:
        raise ValueError(
            f"rounds.base: {base!r} mixes images already, {part!r} cannot be added: "
            "leave one of the two out"
        )
    return "+".join([*words, part, mixer])


def after_crop(name: str) -> str | None:
    """What is left of a base whose random crop was made while images were decoded.

    None if it does not begin with that crop.

    >>> after_crop("resized_crop_flip+randaugment:9"), after_crop("resized_crop_flip")
    ('randaugment:9', 'none')
    """
    first, _, rest = name.partition("+")
    return (rest or "none") if first == "resized_crop_flip" else None


def _without_mixer(name: str) -> tuple[list[str], str | None]:
    words = name.split("+")
    return (words[:-1], words[-1]) if _kind(words[-1]) in _MIXERS else (words, None)


def _kind(word: str) -> str:
    return word.partition(":")[0]


def _built(kinds: Mapping[str, Callable[..., T]], word: str, name: str) -> T:
    kind, _, numbers = word.partition(":")
    if kind in _MIXERS and kind not in kinds:
        raise ValueError(f"rounds.base: {kind!r} in {name!r} mixes images: put it last")
    if kind not in kinds:
        raise ValueError(
            f"rounds.base: {kind!r} in {name!r} is not an augmentation: use one of "
            f"{', '.join((*_KINDS, *_MIXERS))}, or several joined by +"
        )
    try:
        if kind in _OF_WORDS:
            return kinds[kind](*([numbers] if numbers else []))
        return kinds[kind](*(float(n) for n in numbers.split("x") if numbers))
    except (TypeError, ValueError) as error:
        raise ValueError(f"rounds.base: {word!r} in {name!r}: {error}") from error
