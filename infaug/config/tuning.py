"""How the base augmentation of the row `base_tuned` is chosen."""

from dataclasses import dataclass

from infaug.config.check import require


@dataclass(frozen=True, kw_only=True)
class TuningConfig:
    """How the base augmentation of the row `base_tuned` is chosen.

    Every candidate is trained as the row `base` is, for a part of its steps on a whole
    cosine; the best on the selection split, by accuracy and then by loss, is trained in
    full. Eight candidates for a quarter of the steps cost two cells.
    """

    candidates: tuple[str, ...] = ()
    """Base augmentations to choose from, such as `affine:40x1.5` (degrees, strength),
    `crop_flip+randaugment:9` or `trivial`; none: a list that suits the base."""
    fraction: float = 0.25
    """Part of a cell's steps that each candidate is trained for."""

    def __post_init__(self):
        part, names = self.fraction, self.candidates
        require(0 < part <= 1, "tuning.fraction", "must lie in (0, 1]", part)
        distinct = len(set(names)) == len(names)
        require(distinct, "tuning.candidates", "must differ from each other", names)
