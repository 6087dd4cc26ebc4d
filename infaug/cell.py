"""One cell of a table: a row, a seed, and the whole state of its training."""

import copy
from collections.abc import Mapping
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim import Optimizer

from infaug.augment.base import after_crop, build_base
from infaug.augment.compose import Compose
from infaug.augment.identity import Identity
from infaug.augment.learned import Learned
from infaug.augment.random_tau import RandomTau
from infaug.augment.views import choose_view, make_views, weigh_views
from infaug.classify.batchnorm import set_groups
from infaug.classify.fit import build_optimizer as optimizer_of_classifier
from infaug.classify.network import ImageClassifier, build_classifier
from infaug.config import RunConfig, ShiftConfig
from infaug.data.batches import Batches
from infaug.data.crops import Crop
from infaug.data.dataset import Labelled, to_float
from infaug.data.problem import Splits
from infaug.data.shift import apply_shift
from infaug.data.stored import Stored, some
from infaug.data.stream import Stream, batches_of
from infaug.estimate.fit import build_optimizer as optimizer_of_transform
from infaug.estimate.fit import influence_of
from infaug.estimate.learned_transform import build_transform
from infaug.precision import autocast, dtype_of
from infaug.randomness import Draws
from infaug.rows import ROWS, Row
from infaug.state import (
    State,
    below,
    learning_state,
    load_learning_state,
    under,
)
from infaug.types import Augment, Views
from infaug.world import World


class Cell:
    """F, E, G, their optimizers and S, and the batches they see.

    The initial state is a function of the config, the seed and the image shape: rows of
    one seed begin with the same F and the same G, and draw the same base augmentation.

    Args:
        row: what F trains on.
        seed: repetition; paired across rows.
        splits: the images.
        config: settled.
        world: who shares the batches.
        device: where everything lies.
        generator: state of the G the cell begins with; None for a random one.
        driver: state of the F that drives E where s_val is solved once.
    """

    def __init__(
        self,
        row: Row,
        seed: int,
        splits: Splits,
        config: RunConfig,
        world: World,
        device: torch.device,
        generator: Mapping[str, Tensor] | None = None,
        driver: Mapping[str, Tensor] | None = None,
    ):
        self.row, self.seed, self.config, self.world = row, seed, config, world
        self.device, self.dtype = device, dtype_of(config.classifier.precision)
        train = _trained_on(row, splits, config.data.shift)
        self.train = train.to(device)
        self.num_classes = splits.num_classes
        channels, height, width = train.image_shape
        settings = config.classifier
        self.classifier = build_classifier(
            settings.network, channels, splits.num_classes, seed
        )
        self.classifier.normalise_by(to_float(some(train).images))
        groups = world.share(settings.batch_groups)
        set_groups(self.classifier, len(groups))
        self.transform = build_transform(
            config.transform, channels, height, width, seed
        )
        if generator is not None:
            self.transform.generator.load_state_dict(generator)
        layout = torch.channels_last if settings.channels_last else None
        for network in (self.classifier, self.transform):
            network.to(device, self.dtype)
            if layout is not None:
                network.to(memory_format=layout)
        self.optimizers: dict[str, Optimizer] = {
            "classifier": optimizer_of_classifier(self.classifier, settings),
            "transform": optimizer_of_transform(self.transform, config.estimator),
        }
        self.s_val = torch.zeros(
            splits.num_classes, self.classifier.head.in_features + 1,
            device=device, dtype=self.dtype,
        )  # fmt: skip
        # F at a snapshot whose S has not been adopted yet.
        self.frozen: ImageClassifier | None = None
        self.learned = Learned(self.transform, config.estimator)
        self.cleared_until = 0
        self.augments = self._augments(row)
        self.seen = self.augments  # What F has been trained on.
        self.initial: Mapping[str, Tensor] | None = None
        if driver is not None:
            self._be_driven_by(driver)
        of_f, of_e, self._base_left = _crops(row, self.train, config.rounds.base)
        self._begun = self._augments(row, self._base_left)
        self._classify = self._batches(settings.batch_size, groups, of_f, "classify")
        size = config.estimator.batch_size
        self._estimate = self._batches(size, groups, of_e, "estimate")

    def _batches(
        self, size: int, groups: range, crops: tuple[Crop, ...], purpose: str
    ) -> Batches | Stream:
        count = self.config.classifier.batch_groups
        return batches_of(
            self.train, size, count, groups, self.device, crops, self.seed, purpose
        )

    def _be_driven_by(self, driver: Mapping[str, Tensor]) -> None:
        """Take the control row's F in place of the initial one, which is put aside."""
        assert self.row.control is not None, "only learned rows are driven"
        state = self.classifier.state_dict()
        self.initial = {k: v.detach().clone() for k, v in state.items()}
        self.classifier.load_state_dict(driver)
        self.seen = self._augments(ROWS[self.row.control])

    def begin_classifier(self) -> None:
        """From here on F trains on this row's views; a driver gives way to a new F."""
        self.seen = self.augments
        if self.initial is not None:
            self.classifier.load_state_dict(self.initial)

    def _augments(self, row: Row, base: str | None = None) -> list[Augment]:
        """A row's views; `base`: in place of the config's."""
        base = base or self.config.rounds.base
        return [self._augment(view, base) for view in row.views]

    def _augment(self, view: str, base: str) -> Augment:
        parts: dict[str, Augment] = {
            "identity": Identity(),
            "base": build_base(base),
            "random": RandomTau(self.transform.generator),
            "learned": self.learned,
        }
        return Compose(*(parts[name] for name in view.split("+")))

    def begin_round(self, round_: int) -> None:
        """Set the share of images that the learned view changes in this round."""
        settings = self.config.estimator
        grown = min(1.0, round_ / max(settings.warmup_rounds, 1))
        share = grown if settings.warmup_rounds else 1.0
        self.learned.probability = share * settings.probability

    def views_at(self, step: int) -> Views:
        """What F trains on at `step`: this process's part of the batch."""
        x, y, draws = self._classify.at(step)
        x, y = x.to(self.dtype), y.to(self.dtype)
        settings = self.config.estimator
        augments = self._begun
        if self.row.is_learned and settings.candidates > 1:
            augments = [*augments[:-1], self._chosen(augments[-1], y)]
        views = make_views(x, y, augments, draws)
        if self.row.is_learned and settings.view_temperature is not None:
            views = weigh_views(views, self.judge, settings.view_temperature)
        return views

    def _chosen(self, augment: Augment, y: Float[Tensor, "B Y"]) -> Augment:
        def choose(x: Tensor, draws: Draws) -> Tensor:
            many = self.config.estimator.candidates
            return choose_view(x, y, augment, draws, self.judge, many)

        return choose

    @torch.no_grad()
    def judge(
        self, x: Float[Tensor, "B C H W"], y: Float[Tensor, "B Y"]
    ) -> Float[Tensor, "B"]:
        """Predicted influence of images on F as it stands, over |S|; 0 without S."""
        was_training = self.classifier.training
        self.classifier.eval()
        with autocast(x.device, self.config.classifier.precision):
            h = self.classifier.features(x).to(self.s_val.dtype)
        self.classifier.train(was_training)
        settings = self.config.influence
        scores = influence_of(self.classifier, self.s_val, h, y, settings)
        return scores / self.s_val.norm().clamp_min(torch.finfo(scores.dtype).tiny)

    def estimator_batch_at(
        self, step: int
    ) -> tuple[Float[Tensor, "B C H W"], Float[Tensor, "B Y"], Draws]:
        """What E trains on at `step`: this process's part of the batch."""
        x, y, draws = self._estimate.at(step)
        x, y = x[:, 0].to(self.dtype), y.to(self.dtype)
        if self.row.learns_on_base:
            x = build_base(self._base_left)(x, draws.fork("base"))
        return x, y, draws

    def freeze(self) -> None:
        """Keep a copy of F as it stands, in evaluation mode."""
        self.frozen = copy.deepcopy(self.classifier).eval()

    @property
    def strength(self) -> float:
        """What is left of the learned view: 1, less once backed off, 0 given up."""
        return float(self.transform.strength)

    @property
    def _learning(self) -> dict[str, nn.Module]:
        """The networks that learn in this row, by the names of their optimizers."""
        if self.row.is_learned:
            return {"classifier": self.classifier, "transform": self.transform}
        return {"classifier": self.classifier}

    def tensors(self) -> State:
        """The whole state by name, for a checkpoint."""
        state = {"s_val": self.s_val, "cleared_until": torch.tensor(self.cleared_until)}
        for name, network in self._learning.items():
            state |= learning_state(name, network, self.optimizers[name])
        if self.frozen is not None:
            state |= under("frozen", self.frozen.state_dict())
        return state

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Continue from what `tensors` returned."""
        self.s_val = state["s_val"].to(self.device, copy=True)
        self.cleared_until = int(state["cleared_until"])
        for name, network in self._learning.items():
            load_learning_state(name, network, self.optimizers[name], state)
        if frozen := below("frozen", state):
            self.freeze()
            assert self.frozen is not None, "it was frozen just now"
            self.frozen.load_state_dict(frozen)

    def weights(self) -> dict[str, dict[str, Tensor]]:
        """What is kept of a finished cell, by file."""
        kept = {"classifier": self.classifier.state_dict()}
        if self.row.is_learned:
            kept["transform"] = self.transform.state_dict()
        return kept


def _trained_on(row: Row, splits: Splits, shift: ShiftConfig) -> Labelled | Stored:
    if row.is_pooled:
        return splits.pooled
    if row.is_oracle:
        assert isinstance(splits.train, Labelled), "a stream is not shifted"
        return replace(splits.train, images=apply_shift(splits.train.images, shift))
    return splits.train


def _crops(
    row: Row, images: Labelled | Stored, base: str
) -> tuple[tuple[Crop, ...], tuple[Crop, ...], str]:
    """What views of F and images of E begin from, and what is left of base for them.

    A stream makes base's random crop while it decodes; in memory all of base is left.
    """
    rest = after_crop(base)
    if not isinstance(images, Stored) or rest is None:
        return ("centre", "centre"), ("centre",), base
    of_f: list[Crop] = [_crop(view.startswith("base")) for view in row.views]
    return tuple(of_f), (_crop(row.learns_on_base),), rest


def _crop(on_base: bool) -> Crop:
    return "random" if on_base else "centre"
