"""What F and E of a training see at each step: batches and the views of them."""

from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from infaug.augment.base import after_crop, build_base, build_mixer, joined
from infaug.augment.learned import Learned, RandomTau
from infaug.augment.reweight import reweigh
from infaug.augment.views import Compose, Identity, Judge, Mixed, make_views
from infaug.classify.backbone import Backbone
from infaug.config import RoundsConfig, RunConfig
from infaug.data.batches import Batches
from infaug.data.crops import Crop
from infaug.data.dataset import Labelled
from infaug.data.on_disk import ImageSet, OnDisk
from infaug.data.stream import Stream, batches_of
from infaug.estimate.learned_transform import LearnedTransform
from infaug.estimate.policy import Policy
from infaug.precision import dtype_of
from infaug.randomness import RandomNumbers
from infaug.training.activations import Activations, digest_of_state, fits_memory
from infaug.training.methods import Method
from infaug.types import Augment, Views
from infaug.world import World


class TrainingViews:
    """Batches of the training images, and the augmentations of a method.

    E, G and the policy are used as they are at each step. `late` is what F trains on
    from `late_step` on; None: the same images.
    """

    def __init__(
        self,
        method: Method,
        seed: int,
        train: ImageSet,
        transform: LearnedTransform,
        policy: Policy,
        config: RunConfig,
        world: World,
        device: torch.device,
        late: Labelled | None,
    ):
        self.method, self.seed = method, seed
        self.transform, self.policy, self.config = transform, policy, config
        self.world, self.device = world, device
        self.dtype = dtype_of(config.classifier.precision)
        self.learned = Learned(
            transform, config.estimator, is_shuffled=method.sees == "other"
        )
        self.views = method.views_of(config.classifier.views)
        base = base_of(method, config.rounds.base)
        of_f, of_e, self._base_left = _crops(method, self.views, train, base)
        self._begun = self.augments_of(method, self._base_left)
        size = config.classifier.batch_size
        self.f_batches = self._batches(train, size, of_f, "classify")
        self._late = None
        if late is not None:
            self._late = self._batches(late, size, of_f, "classify")
        self._late_from = late_step(config.rounds)
        size, groups = config.estimator.batch_size, config.classifier.batch_groups
        if method.learns_policy:
            size = max(groups, config.policy.batch_size // groups * groups)
        self._estimate = self._batches(train, size, of_e, "estimate")
        self.activations: Activations | None = None

    def keep_activations(self, classifier: Backbone, folder: Path) -> bool:
        """Whether F trains, from here on, on what its frozen layers make of views.

        Not where views change during the training, or mix images, or weigh unalike, or
        would not fit into memory.
        """
        settings = self.config.classifier
        sets = [b.labelled for b in self._all_batches if isinstance(b, Batches)]
        changes = self.method.learns_views or self.method.is_reweighted
        if changes or len(sets) < len(self._all_batches):
            return False
        if any(isinstance(augment, Mixed) for augment in self._begun):
            return False
        size = (len(self.views), settings.frozen_views)
        if not fits_memory(classifier, sets, *size):
            return False
        frozen = digest_of_state(
            classifier.parts[0].state_dict()
            | {"mean": classifier.mean, "std": classifier.std}
        )
        base = base_of(self.method, self.config.rounds.base)
        names = [
            f"{frozen} {classifier.is_stretched} {settings.precision} {base} {view} "
            f"{settings.frozen_views} {self._state_of(view)}"
            for view in self.views
        ]
        self.activations = Activations(
            classifier,
            list(zip(names, self._begun, strict=True)),
            sets,
            num_draws=settings.frozen_views,
            folder=folder,
            precision=settings.precision,
        )
        return True

    def _state_of(self, view: str) -> str:
        """What decides a view beside its name."""
        parts = []
        if "policy" in view:
            parts += [
                repr(self.config.policy),
                digest_of_state(self.policy.state_dict()),
            ]
        if "random" in view:
            parts.append(digest_of_state(self.transform.generator.state_dict()))
        return " ".join(parts)

    @property
    def _all_batches(self) -> list[Batches | Stream]:
        """Of F."""
        return [self.f_batches] if self._late is None else [self.f_batches, self._late]

    def _batches(
        self, images: ImageSet, size: int, crops: tuple[Crop, ...], phase: str
    ) -> Batches | Stream:
        count = self.config.classifier.batch_groups
        return batches_of(
            images, size, count, self.world.share(count), self.device, crops,
            self.seed, phase,
        )  # fmt: skip

    def augments_of(self, method: Method, base: str | None = None) -> list[Augment]:
        """What a method's views go through; `base`: in place of the method's."""
        base = base or base_of(method, self.config.rounds.base)
        views = method.views_of(self.config.classifier.views)
        return [self._augment(view, base) for view in views]

    def _augment(self, view: str, base: str) -> Augment:
        parts: dict[str, Augment] = {
            "identity": Identity(),
            "base": build_base(base),
            "random": RandomTau(self.transform.generator),
            "learned": self.learned,
            "policy": self.policy,
        }
        augment = Compose(*(parts[name] for name in view.split("+")))
        mixer = build_mixer(base)
        # Mixing is the base's, and comes last: E sees whole images.
        if mixer is None or not view.startswith("base"):
            return augment
        return Mixed(augment, mixer)

    def begin_round(self, round_: int) -> None:
        """Set the share of images that the learned view changes in this round."""
        settings = self.config.estimator
        warmup = settings.warmup_rounds
        share = min(1.0, round_ / warmup) if warmup else 1.0
        self.learned.probability = share * settings.probability

    def at(self, step: int, judge: Judge) -> Views:
        """What F trains on at `step`: this process's part of the batch.

        `judge` scores images where views are weighted by their influence.
        """
        timer = self.world.timer
        with timer.time("data"):
            batches = self.f_batches
            if self._late is not None and step >= self._late_from:
                batches = self._late
            if self.activations is not None:
                assert isinstance(batches, Batches), "streams have no activations"
                views = self.activations.at(batches, step)
                timer.count("images", len(views.y))
                return views
            x, y, rng = batches.at(step)
            x, y = x.to(self.dtype), y.to(self.dtype)
        timer.count("images", len(y))
        with timer.time("views"):
            views = make_views(x, y, self._begun, rng)
            if self.method.is_reweighted:
                views = reweigh(views, judge, rng.group_size)
            return views

    def estimator_batch_at(
        self, step: int
    ) -> tuple[Float[Tensor, "B C H W"], Float[Tensor, "B Y"], RandomNumbers]:
        """What E trains on at `step`: this process's part of the batch."""
        timer = self.world.timer
        with timer.time("data"):
            x, y, rng = self._estimate.at(step)
            x, y = x[:, 0].to(self.dtype), y.to(self.dtype)
        timer.count("images", len(y))
        if self.method.learns_on_base:
            with timer.time("views"):
                x = build_base(self._base_left)(x, rng.fork("base"))
        return x, y, rng


def late_step(rounds: RoundsConfig) -> int:
    """From which step on late images are trained on: for the last quarter.

    From four rounds on it is the first of a round.

    >>> [late_step(RoundsConfig(rounds=n, classifier_steps=10)) for n in (1, 2, 4, 10)]
    [8, 15, 30, 80]
    """
    steps, total = rounds.classifier_steps, rounds.rounds * rounds.classifier_steps
    first = rounds.rounds - max(1, rounds.rounds // 4)
    return max(first * steps, total - total // 4)


def base_of(method: Method, base: str) -> str:
    """The base augmentation of a method: the run's, and what the method adds to it.

    Raises:
        ValueError: if both mix images, or the loss needs views of one image alone.
    """
    name = base if method.adds is None else joined(base, method.adds)
    if method.view_loss == "mmel_soft" and build_mixer(name) is not None:
        raise ValueError(
            f"rounds.base: {base!r} mixes images, and {method.name} teaches every view "
            "what F says of its one original: leave the mixer or the method out"
        )
    return name


def _crops(
    method: Method, views: Sequence[str], images: ImageSet, base: str
) -> tuple[tuple[Crop, ...], tuple[Crop, ...], str]:
    """What views of F and images of E begin from, and what is left of base for them.

    A stream makes base's random crop while it decodes; in memory all of base is left.
    """
    rest = after_crop(base)
    if not isinstance(images, OnDisk) or rest is None:
        whole: list[Crop] = ["centre"] * len(views)
        return tuple(whole), ("centre",), base
    of_f: list[Crop] = [_crop(view.startswith("base")) for view in views]
    return tuple(of_f), (_crop(method.learns_on_base),), rest


def _crop(on_base: bool) -> Crop:
    return "random" if on_base else "centre"
