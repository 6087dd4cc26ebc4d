"""The adversarial fit of one seed's G: its state, and the batches it sees.

Methods of a seed share its G, so this is no part of a training. E and G begin as every
training of the seed would have them.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from infaug.augment.base import build_base
from infaug.classify.network import build_classifier
from infaug.config import RunConfig, to_dict
from infaug.data.dataset import Labelled, to_float
from infaug.data.on_disk import ImageSet, OnDisk
from infaug.data.problem import Splits
from infaug.data.stream import batches_of
from infaug.descent import StepMetrics
from infaug.estimate.learned_transform import build_transform, random_tau
from infaug.precision import dtype_of
from infaug.randomness import RandomNumbers
from infaug.record.store import GeneratorStore
from infaug.record.training_logger import TrainingLogger
from infaug.training.activations import digest_of_state
from infaug.training.methods import GENERATOR
from infaug.transform.affine_flows import start_covariance
from infaug.transform.critics import (
    build_adversaries,
    image_and_feature_critics,
    image_and_flow_critics,
)
from infaug.transform.fit import Batch, fit_generator
from infaug.transform.objective import measure_reach
from infaug.world import World

MEASURED_ON = 1000


class GeneratorFit:
    """G, its critics and optimizers, and the images it is fitted on.

    `classifier` is the state of the F whose features a critic sees (ragan).
    """

    def __init__(
        self,
        seed: int,
        splits: Splits,
        config: RunConfig,
        world: World,
        device: torch.device,
        classifier: Mapping[str, Tensor] | None,
    ):
        self.seed, self.config, self.world, self.device = seed, config, world, device
        self.dtype = dtype_of(config.classifier.precision)
        settings = config.adversarial
        self.images = _images(splits, use_unlabelled=settings.use_unlabelled)
        self.classifier = classifier
        shape = splits.train.image_shape
        generator = build_transform(config.transform, *shape, seed).generator
        tau = random_tau(config.transform.tau_size, seed)
        start = start_covariance(config.transform, settings, *shape)
        generator.condition(tau, start)
        self.features_of: Callable[[Tensor], Tensor] | None = None
        if settings.fit == "wgan_gp":
            critics = image_and_flow_critics(*shape, seed)
        else:
            assert classifier is not None, "ragan needs the features of F"
            network = build_classifier(
                config.classifier.network, shape[0], splits.num_classes, seed
            )
            network.load_state_dict(classifier)
            network.to(device, self.dtype).eval().requires_grad_(False)
            self.features_of = network.features
            size = network.head.in_features
            critics = image_and_feature_critics(*shape, size, seed)
        for network in (generator, *critics.values()):
            network.to(device, self.dtype)
        self.adversaries = build_adversaries(generator, critics, settings)
        groups = config.classifier.batch_groups
        self._batches = batches_of(
            self.images, settings.batch_size, groups, world.share(groups), device,
            ("centre",), seed, "adversary",
        )  # fmt: skip
        self._base = build_base(config.rounds.base)

    def identity(self) -> dict[str, Any]:
        """All that decides the numbers of the fitted G, for a cache; JSON can hold it.

        The number of processes is left out: it changes the order of sums only.
        """
        config = self.config
        identity: dict[str, Any] = {
            "seed": self.seed,
            "images": _digest_of_images(self.images),
            "adversarial": to_dict(config.adversarial),
            "transform": to_dict(config.transform),
            "batch_groups": config.classifier.batch_groups,
            "dtype": str(self.dtype),
            "device": self.device.type,
            "torch": torch.__version__,
        }
        if self.classifier is not None:
            identity["base"] = config.rounds.base
            identity["classifier"] = digest_of_state(self.classifier)
        return identity

    def batch_at(self, update: int) -> Batch:
        """What one update sees: this process's part."""
        with self.world.timer.time("data"):
            x, _, rng = self._batches.at(update)
            x = x[:, 0].to(self.dtype)
        self.world.timer.count("images", len(x))
        real = x
        if self.config.adversarial.fit == "ragan":
            real = self._base(x, rng.fork("base"))
        return Batch(x, real, rng)

    def steps(self, left: range) -> Iterator[StepMetrics]:
        """Fit for the steps that are left, yielding what each says."""
        for _, metrics in fit_generator(
            self.adversaries,
            self.batch_at,
            left,
            self.config.adversarial,
            features_of=self.features_of,
            world=self.world,
        ):
            yield metrics

    def measure(self) -> dict[str, float]:
        """How far the flows of G as it stands reach; see `transform.objective`."""
        first = torch.arange(min(MEASURED_ON, len(self.images)))
        x = to_float(self.images.select(first).images).to(self.device, self.dtype)
        rng = RandomNumbers.of_size(len(x), self.seed, "reach", device=self.device)
        ranges = self.config.adversarial.affine
        return measure_reach(self.adversaries.average, x, rng, ranges)


def _images(splits: Splits, *, use_unlabelled: bool) -> ImageSet:
    """Training images as a set to draw from; its labels are not looked at."""
    train = splits.train
    if isinstance(train, OnDisk) or not use_unlabelled or len(splits.unlabelled) == 0:
        return train
    nothing = torch.zeros(len(splits.unlabelled), dtype=torch.int64)
    return train + Labelled(splits.unlabelled, nothing, splits.class_names)


def _digest_of_images(images: ImageSet) -> str:
    """Of the pixels; of images that are streamed where they lie, and how they look."""
    if isinstance(images, Labelled):
        return digest_of_state({"images": images.images})
    return f"{images.checksum} {images.image_shape}"


def fit_and_keep(
    fit: GeneratorFit, logger: TrainingLogger, store: GeneratorStore | None
) -> dict[str, Any]:
    """Leave the seed's G in its folder: from the store, or fitted and kept there."""
    num_steps = fit.config.adversarial.steps
    cached = None
    if logger.state is not None:
        fit.adversaries.load(logger.state)
    elif store is not None:
        cached = fit.world.first(lambda: store.find(fit.identity()))
    if cached is not None:
        fit.adversaries.average.load_state_dict(cached)
        logger.display.skip(logger.number, "adversary", num_steps)
    else:
        left = logger.left(0, "adversary", num_steps)
        logger.follow(0, "adversary", left, fit.steps(left), fit.adversaries)
    return fit.world.first(
        partial(_keep_generator, fit, logger, store, cached is not None)
    )


def _keep_generator(
    fit: GeneratorFit,
    logger: TrainingLogger,
    store: GeneratorStore | None,
    was_cached: bool,
) -> dict[str, Any]:
    measured = fit.measure()
    weights = fit.adversaries.average.state_dict()
    if store is not None and not was_cached:
        try:
            store.keep(fit.identity(), weights, measured)
        except OSError as error:
            warnings.warn(
                f"the fitted generator could not be kept for other runs ({error}): "
                "this run goes on; choose another --cache",
                stacklevel=2,
            )
    found = {"method": GENERATOR.name, "seed": fit.seed, **measured}
    logger.finish({GENERATOR.name: weights}, found)
    logger.say(
        f"{'found in the cache' if was_cached else 'fitted'}, "
        f"{100 * measured['inside']:.0f} % of its flows in the affine ranges"
    )
    return found
