"""One drawn view of a batch: what happens to its pixels, and where they go.

What was learned is E and G (`GeneratorViews`), or a policy over operations
(`PolicyViews`); masks, keypoints and boxes ask either view for its flow.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from infaug.config import EstimatorConfig
from infaug.config.fields import require
from infaug.estimate.learned_transform import Chance, LearnedTransform, draw_chance
from infaug.estimate.policy import Choice, Policy
from infaug.randomness import Draws
from infaug.transform.fields import Fields, apply_fields
from infaug.transform.spatial import flow_of, pixel_grid


@dataclass(frozen=True, eq=False)
class FieldsView:
    """Fields of each image, at the size of the images."""

    fields: Fields
    changed: Bool[Tensor, "B"] | None
    """The images that are changed; None: all."""
    padding: str
    lead: tuple[int, ...]

    @property
    def size(self) -> tuple[int, int]:
        """(H, W)."""
        height, width = self.fields.matrix.shape[2:]
        return height, width

    @cached_property
    def flow(self) -> Float[Tensor, "B H W 2"]:
        """Where each output pixel takes its value from; identity if unchanged."""
        flow = flow_of(self.fields.matrix, self.fields.offset)
        return _where(self.changed, flow, pixel_grid(*self.size, like=flow))

    def render(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """The images warped and recoloured; the unchanged ones as they are."""
        x_aug = apply_fields(x, self.fields, padding=self.padding)
        return _where(self.changed, x_aug, x)


@dataclass(frozen=True, eq=False)
class PolicyView:
    """Operations of each image, one after another."""

    policy: Policy
    choice: Choice
    draws: Draws
    changed: Bool[Tensor, "B"] | None
    size: tuple[int, int]
    lead: tuple[int, ...]
    padding: str = "zeros"

    @cached_property
    def flow(self) -> Float[Tensor, "B H W 2"]:
        """Where each output pixel takes its value from; identity if unchanged."""
        flow = self.policy.flow(self.choice, *self.size)
        return _where(self.changed, flow, pixel_grid(*self.size, like=flow))

    @torch.no_grad()
    def render(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """The images after their operations; the unchanged ones as they are."""
        x_aug = self.policy.render(x, self.choice, self.draws)
        return _where(self.changed, x_aug, x)


View = FieldsView | PolicyView


class GeneratorViews(nn.Module):
    """E and G, and how tau varies from view to view, as when E learned."""

    def __init__(self, transform: LearnedTransform, estimator: EstimatorConfig):
        super().__init__()
        self.transform, self.config = transform, estimator
        self.probability = estimator.probability
        self.channels = transform.generator.channels
        self.about = "trained_on={}x{}x{}".format(
            self.channels, *transform.generator.size
        )

    @property
    def device(self) -> torch.device:
        """Where E and G lie."""
        return self.transform.strength.device

    def view(
        self,
        x: Float[Tensor, "B C H W"],
        draws: Draws,
        lead: tuple[int, ...],
        strength: float,
        probability: float,
    ) -> View:
        """The view that these draws give: what training does with them."""
        size = self.transform.config.tau_size
        chance = draw_chance(self.config, size, probability, draws)
        return view_of(self.transform, x, chance, strength, lead)


class PolicyViews(nn.Module):
    """A policy over operations."""

    probability = 1.0

    def __init__(self, policy: Policy):
        super().__init__()
        self.policy, self.channels = policy, policy.channels
        shares = sorted(policy.shares().items(), key=lambda item: -item[1])
        self.about = ", ".join(f"{name} {share:.0%}" for name, share in shares[:5])

    @property
    def device(self) -> torch.device:
        """Where the probabilities lie."""
        return self.policy.logits.device

    def view(
        self,
        x: Float[Tensor, "B C H W"],
        draws: Draws,
        lead: tuple[int, ...],
        strength: float,
        probability: float,
    ) -> View:
        """The view that these draws give: what training does with them."""
        rule = "must be 1 for a policy: set probability, the share of changed images"
        require(strength == 1, "strength", rule, strength)
        choice = self.policy.choose(draws)
        changed = None
        if probability < 1:
            changed = draws.fork("changed").uniform(0, 1) < probability
        size = (x.shape[2], x.shape[3])
        return PolicyView(self.policy, choice, draws, changed, size, lead)


@torch.no_grad()
def view_of(
    transform: LearnedTransform,
    x: Float[Tensor, "B C H W"],
    chance: Chance,
    strength: float,
    lead: tuple[int, ...],
) -> FieldsView:
    """The view that E and G make of these images for what was drawn.

    Images of another size than E and G were trained for are scaled to it for E. G's
    fields are made at the trained size and interpolated to that of the images before
    they are bounded, as G does itself above 64 px: so no flow folds at any size.
    """
    trained, size = transform.generator.size, tuple(x.shape[2:])
    seen = x if size == trained else _scaled(x, trained)
    unbounded = transform.unbounded(seen, chance.noise, chance.keep)
    if size != trained:
        unbounded = F.interpolate(unbounded, size, mode="bilinear")
    fields = transform.bounded(unbounded).scaled(x.new_tensor(strength))
    return FieldsView(fields, chance.changed, transform.config.padding, lead)


def _scaled(x: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(x, size, mode="bilinear", antialias=True)


def _where(changed: Tensor | None, new: Tensor, old: Tensor) -> Tensor:
    if changed is None:
        return new
    return torch.where(changed[:, None, None, None], new, old)
