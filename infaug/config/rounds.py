"""The alternation of F, s_val and E, and the choice of a tuned base."""

from dataclasses import dataclass
from typing import Literal

from infaug.config.fields import require, within


@dataclass(frozen=True, kw_only=True)
class RoundsConfig:
    """The alternation of F, s_val and E."""

    rounds: int = 15
    """Times round; s_val is refreshed once in each."""
    classifier_steps: int = 100
    """Steps of F in each round."""
    estimator_steps: int = 40
    """Steps of E in each round, after s_val is refreshed."""
    s_val: Literal["each_round", "once"] = "each_round"
    """`each_round`: F, s_val and E take turns. `once`: s_val is that of the F which the
    method's control ended with (`base` for `base_learned`); E takes all its steps
    against it; then a fresh F trains with the learned view."""
    refresh: Literal["sync", "overlap"] = "sync"
    """When s_val is solved: while F waits, or while F trains on."""
    refresh_lag: int = 40
    """overlap: steps F trains on after the snapshot that s_val is solved for, up to
    classifier_steps. s_val is adopted exactly then, however fast or slow the solver."""
    base: str = "auto"
    """`auto`: affine for grey, crop_flip up to 64 px colour, else resized_crop_flip;
    or any that `infaug.augment.base` can build, such as `crop_flip+trivial`."""
    log_every_steps: int = 20
    """Steps between lines of metrics.jsonl."""
    checkpoint_every_steps: int = 200
    """Steps between checkpoints inside a phase; every phase ends with one."""
    ledger_images: int | None = 200
    """Training images, evenly over all, of which RUN/ledger says in each round what E
    did to them and what came of it; 0: no ledger, none: all images."""

    def __post_init__(self):
        max_lag = self.classifier_steps if self.refresh == "overlap" else "inf"
        within(
            self, "rounds", rounds=">= 1", classifier_steps=">= 1",
            estimator_steps=">= 1", log_every_steps=">= 1",
            checkpoint_every_steps=">= 1", ledger_images=">= 0",
            refresh_lag=f"[1, {max_lag}]",
        )  # fmt: skip

    @property
    def lag(self) -> int:
        """Steps F trains on while s_val is solved; none where that is done once."""
        overlaps = self.refresh == "overlap" and self.s_val == "each_round"
        return self.refresh_lag if overlaps else 0

    @property
    def snapshot_step(self) -> int:
        """Steps of F done in a round when the F that s_val is solved for is reached."""
        return self.classifier_steps - self.lag


@dataclass(frozen=True, kw_only=True)
class TuningConfig:
    """How the base augmentation of `base_tuned` is chosen.

    Every candidate is trained as `base` is, for a part of its steps on a whole
    cosine; the best on the selection split, by accuracy and then by loss, is trained in
    full. Eight candidates for a quarter of the steps cost two trainings.
    """

    candidates: tuple[str, ...] = ()
    """Base augmentations to choose from, such as `affine:40x1.5` (degrees, strength),
    `crop_flip+randaugment:9` or `trivial`; none: a list that suits the base."""
    fraction: float = 0.25
    """Part of a training's steps that each candidate is trained for."""

    def __post_init__(self):
        within(self, "tuning", fraction="(0, 1]")
        distinct = len(set(self.candidates)) == len(self.candidates)
        rule = "must differ from each other"
        require(distinct, "tuning.candidates", rule, self.candidates)
