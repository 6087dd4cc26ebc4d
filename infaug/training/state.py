"""One training of a table: a method, a seed, and the whole state of its training."""

import copy
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim import Optimizer

from infaug.classify.backbone import Backbone, LastPart, begin_backbone
from infaug.classify.fit import build_optimizer as optimizer_of_classifier
from infaug.classify.loss import loss_of_views
from infaug.classify.network import ImageClassifier, build_classifier
from infaug.config import RunConfig, ShiftConfig
from infaug.data.dataset import Labelled, to_float
from infaug.data.on_disk import ImageSet, OnDisk
from infaug.data.problem import Splits
from infaug.data.share import sample
from infaug.data.shift import apply_shift
from infaug.estimate.fit import InfluenceScores, Scores, influence_of
from infaug.estimate.fit import build_optimizer as optimizer_of_transform
from infaug.estimate.learned_transform import build_transform
from infaug.estimate.lookahead import Lookahead
from infaug.estimate.policy import Policy, build_policy_optimizer
from infaug.precision import autocast, dtype_of
from infaug.state import State, below, learning_state, load_learning_state, under
from infaug.training.methods import METHODS, Method
from infaug.training.solve import damping_of
from infaug.training.views import TrainingViews
from infaug.types import Views
from infaug.world import World


class Training:
    """F, E, G, their optimizers and S, and the batches they see.

    The initial state is a function of the config, the seed and the image shape: methods
    of one seed begin with the same F and the same G, and draw the same base
    augmentation. `generator` and `policy` are states that it begins with in place of
    the usual ones, `driver` that of the F that drives E where s_val is solved once.
    """

    def __init__(
        self,
        method: Method,
        seed: int,
        splits: Splits,
        config: RunConfig,
        world: World,
        device: torch.device,
        generator: Mapping[str, Tensor] | None = None,
        driver: Mapping[str, Tensor] | None = None,
        policy: Mapping[str, Tensor] | None = None,
    ):
        if method.signal == "gradient":
            influence = replace(config.influence, solver="gradient")
            config = replace(config, influence=influence)
        self.method, self.seed, self.config, self.world = method, seed, config, world
        self.device, self.dtype = device, dtype_of(config.classifier.precision)
        train = _trained_on(method, splits, config.data.shift)
        self.train = train.to(device)
        self.influence = splits.influence
        self.num_classes = splits.num_classes
        channels, height, width = train.image_shape
        settings = config.classifier
        self.classifier = build_classifier(
            settings.network, channels, splits.num_classes, seed
        )
        self.classifier.is_stretched = method.stretches
        if settings.weights == "none":  # Pretrained ones bring their normalisation.
            self.classifier.normalise_by(to_float(sample(train, world, device)))
        self.transform = build_transform(
            config.transform, channels, height, width, seed
        )
        if method.sees == "nothing":
            self.transform.estimator.be_constant()
        if generator is not None:
            self.transform.generator.load_state_dict(generator)
        self.policy = Policy(config.policy, channels)
        if policy is not None:
            self.policy.load_state_dict(policy)
        self.policy.to(device)
        # Sum of its probabilities after every update, of which the mean is kept.
        self.policy_sum = torch.zeros_like(self.policy.logits)
        for network in (self.classifier, self.transform):
            network.to(device, self.dtype)
            if settings.channels_last:
                network.to(memory_format=torch.channels_last)
        if isinstance(self.classifier, Backbone):
            begin_backbone(self.classifier, settings)
        if settings.freeze == "body" and method.solves_s_val:
            needed = damping_of(self.classifier, self.train, world, device)
            damping = max(config.influence.damping, needed)
            influence = replace(config.influence, damping=damping)
            self.config = config = replace(config, influence=influence)
        # What is evaluated and kept, if it is not the F that trains.
        self.average = copy.deepcopy(self.classifier) if settings.ema else None
        if settings.compile:
            self.classifier.compile()
        # What a step of F goes through, and what follows it.
        self.learner: ImageClassifier | LastPart = self.classifier
        self.follower: nn.Module | None = self.average
        self.loss_of_views = loss_of_views(method.view_loss, settings.mmel_lambda)
        self.optimizers: dict[str, Optimizer] = {
            "classifier": optimizer_of_classifier(self.classifier, settings),
            "transform": optimizer_of_transform(self.transform, config.estimator),
            "policy": build_policy_optimizer(self.policy),
        }
        self.s_val = torch.zeros(
            splits.num_classes, self.classifier.head.in_features + 1,
            device=device, dtype=self.dtype,
        )  # fmt: skip
        # F at a snapshot whose S has not been adopted yet.
        self.frozen: ImageClassifier | None = None
        self.judged_by = config.influence
        if method.is_reweighted:
            # Images that are there cannot be made extreme: the influence as it is.
            self.judged_by = replace(config.influence, objective="raw")
        late = _pooled_evenly(splits).to(device) if method.is_late else None
        self.views = TrainingViews(
            method, seed, self.train, self.transform, self.policy, config, world,
            device, late,
        )  # fmt: skip
        self.cleared_until = 0
        self.augments = self.views.augments_of(method)
        self.seen = self.augments  # What F has been trained on.
        self.initial: Mapping[str, Tensor] | None = None
        if driver is not None:
            self._be_driven_by(driver)

    def keep_activations(self, folder: Path) -> bool:
        """Compute once what frozen layers make of the views; whether that can be."""
        if not isinstance(self.classifier, Backbone) or not self.classifier.is_frozen:
            return False
        if not self.views.keep_activations(self.classifier, folder):
            return False
        self.learner = LastPart(self.classifier)
        if isinstance(self.average, Backbone):
            self.follower = LastPart(self.average)
        return True

    def _be_driven_by(self, driver: Mapping[str, Tensor]) -> None:
        """Take the control's F in place of the initial one, which is put aside."""
        assert self.method.control is not None, "only learned methods are driven"
        state = self.classifier.state_dict()
        self.initial = {k: v.detach().clone() for k, v in state.items()}
        self.classifier.load_state_dict(driver)
        self.seen = self.views.augments_of(METHODS[self.method.control])

    def begin_classifier(self) -> None:
        """From here on F trains on its own views; a driver gives way to a new F."""
        self.seen = self.augments
        if self.initial is not None:
            self.classifier.load_state_dict(self.initial)
        if self.average is not None:
            self.average.load_state_dict(self.classifier.state_dict())

    def views_at(self, step: int) -> Views:
        """What F trains on at `step`: this process's part of the batch."""
        return self.views.at(step, self.judge)

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
        scores = influence_of(self.classifier, self.s_val, h, y, self.judged_by)
        return scores / self.s_val.norm().clamp_min(torch.finfo(scores.dtype).tiny)

    def scores_of_views(self) -> Scores:
        """What E minimises from now on; F, in evaluation mode, and S stand still."""
        config = self.config
        if not self.method.looks_ahead:
            precision = config.classifier.precision
            return InfluenceScores(
                self.classifier, self.s_val, config.influence, precision
            )
        return Lookahead(
            self.classifier,
            self.influence.to(self.device),
            config.bilevel,
            self.seed,
            "lookahead",
            batch_size=config.estimator.batch_size,
            world=self.world,
        )

    @property
    def evaluated(self) -> ImageClassifier:
        """F as it is evaluated and kept."""
        return self.classifier if self.average is None else self.average

    def freeze(self) -> None:
        """Keep a copy of F as it stands, in evaluation mode."""
        self.frozen = copy.deepcopy(self.classifier).eval()

    @torch.no_grad()
    def count_policy(self) -> None:
        """Add the policy as it stands to those whose mean is kept."""
        self.policy_sum += self.policy.logits.softmax(dim=1)

    def _mean_policy(self) -> State:
        """What F was taught on: the mean of the policies after all updates.

        The last one alone forgets: a change that F has learned earns nothing more.
        """
        if not self.policy_sum.any():
            return self.policy.state_dict()
        return {"logits": (self.policy_sum / self.policy_sum.sum(1, True)).log()}

    @property
    def strength(self) -> float:
        """What is left of the learned view: 1, less once backed off, 0 given up."""
        return float(self.transform.strength)

    @property
    def _learning(self) -> dict[str, nn.Module]:
        """The networks that learn in this method, by the names of their optimizers."""
        networks: dict[str, nn.Module] = {"classifier": self.classifier}
        if self.method.is_learned:
            networks["transform"] = self.transform
        if self.method.learns_policy:
            networks["policy"] = self.policy
        return networks

    def tensors(self) -> State:
        """The whole state by name, for a checkpoint."""
        state = {"s_val": self.s_val, "cleared_until": torch.tensor(self.cleared_until)}
        for name, network in self._learning.items():
            state |= learning_state(name, network, self.optimizers[name])
        if self.method.learns_policy:
            state["policy_sum"] = self.policy_sum
        if self.average is not None:
            state |= under("average", self.average.state_dict())
        if self.frozen is not None:
            state |= under("frozen", self.frozen.state_dict())
        return state

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Continue from what `tensors` returned."""
        self.s_val = state["s_val"].to(self.device, copy=True)
        self.cleared_until = int(state["cleared_until"])
        for name, network in self._learning.items():
            load_learning_state(name, network, self.optimizers[name], state)
        if self.method.learns_policy:
            self.policy_sum = state["policy_sum"].to(self.device, copy=True)
        if self.average is not None:
            self.average.load_state_dict(below("average", state))
        if frozen := below("frozen", state):
            self.freeze()
            assert self.frozen is not None, "it was frozen just now"
            self.frozen.load_state_dict(frozen)

    def weights(self) -> dict[str, dict[str, Tensor]]:
        """What is kept of a finished training, by file."""
        kept = {"classifier": self.evaluated.state_dict()}
        if self.method.is_learned:
            kept["transform"] = self.transform.state_dict()
        if self.method.policy is not None:
            kept["policy"] = self._mean_policy()
        return kept


def _trained_on(method: Method, splits: Splits, shift: ShiftConfig) -> ImageSet:
    if method.is_even:
        return _pooled_evenly(splits)
    if method.is_pooled:
        return splits.pooled
    if method.is_oracle:
        assert isinstance(splits.train, Labelled), "a stream is not shifted"
        return replace(splits.train, images=apply_shift(splits.train.images, shift))
    return splits.train


def _pooled_evenly(splits: Splits) -> Labelled:
    """Training and influence images, these repeated until they are half of all."""
    if isinstance(splits.train, OnDisk) or isinstance(splits.influence, OnDisk):
        raise ValueError(
            "methods: those of which target images are half repeat them in memory, and "
            "these are streamed: raise --data.stream-above-gib"
        )
    copies = max(1, round(len(splits.train) / len(splits.influence)))
    at = torch.arange(len(splits.influence)).repeat(copies)
    return splits.train + splits.influence.select(at)
