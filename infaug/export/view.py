"""One drawn view of a batch: what happens to its pixels, and where they go.

What was learned is E and G (`GeneratorViews`), or a policy over operations
(`PolicyViews`); masks, keypoints and boxes ask a view of either for its flow.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from infaug.config import EstimatorConfig
from infaug.config.fields import require
from infaug.estimate.learned_transform import LearnedTransform, draw_view
from infaug.estimate.policy import Policy
from infaug.randomness import RandomNumbers
from infaug.transform.fields import Fields, apply_fields
from infaug.transform.spatial import flow_of, pixel_grid


@dataclass(frozen=True, eq=False, kw_only=True)
class View:
    """What was drawn for each image of a batch."""

    warp: Callable[[], Float[Tensor, "B H W 2"]]
    """Its flow: where each output pixel takes its value from."""
    draw: Callable[[Float[Tensor, "B C H W"]], Float[Tensor, "B C H W"]]
    """Images to views."""
    changed: Bool[Tensor, "B"] | None
    """The images that are changed; None: all."""
    size: tuple[int, int]
    """(H, W)."""
    lead: tuple[int, ...]
    """Shape of the batch as it was given."""
    padding: str = "zeros"

    @cached_property
    def flow(self) -> Float[Tensor, "B H W 2"]:
        """As `warp` says; identity where an image is unchanged."""
        flow = self.warp()
        return self._where_changed(flow, pixel_grid(*self.size, like=flow))

    @torch.no_grad()
    def render(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """The views of images; the unchanged ones as they are."""
        return self._where_changed(self.draw(x), x)

    def _where_changed(self, new: Tensor, old: Tensor) -> Tensor:
        if self.changed is None:
            return new
        return torch.where(self.changed[:, None, None, None], new, old)


class GeneratorViews(nn.Module):
    """E and G, and how tau varies from view to view, as when E learned."""

    def __init__(self, transform: LearnedTransform, estimator: EstimatorConfig):
        super().__init__()
        self.transform, self.config = transform, estimator
        self.probability = estimator.probability
        self.channels = transform.generator.channels
        height, width = transform.generator.size
        self.about = f"trained_on={self.channels}x{height}x{width}"

    @property
    def device(self) -> torch.device:
        """Where E and G lie."""
        return self.transform.strength.device

    @torch.no_grad()
    def view(
        self,
        x: Float[Tensor, "B C H W"],
        rng: RandomNumbers,
        lead: tuple[int, ...],
        strength: float,
        probability: float,
    ) -> View:
        """The view that these random numbers give: what training does with them.

        Images of another size than E and G were trained for are scaled to it for E. G's
        fields are made at the trained size and interpolated to that of the images
        before they are bounded, as G does itself above 64 px: so no flow folds at any
        size.
        """
        transform = self.transform
        tau_size, trained = transform.config.tau_size, transform.generator.size
        drawn = draw_view(self.config, tau_size, probability, rng)
        size = (x.shape[2], x.shape[3])
        if size == trained:
            unbounded = transform.unbounded(x, drawn.noise, drawn.mask)
        else:
            seen = F.interpolate(x, trained, mode="bilinear", antialias=True)
            unbounded = transform.unbounded(seen, drawn.noise, drawn.mask)
            unbounded = F.interpolate(unbounded, size, mode="bilinear")
        fields = transform.bounded(unbounded).scaled(x.new_tensor(strength))
        return fields_view(fields, lead, transform.config.padding, drawn.changed)


def fields_view(
    fields: Fields,
    lead: tuple[int, ...],
    padding: str = "zeros",
    changed: Bool[Tensor, "B"] | None = None,
) -> View:
    """The view that fields of each image make."""
    height, width = fields.matrix.shape[2:]
    return View(
        warp=partial(flow_of, fields.matrix, fields.offset),
        draw=partial(apply_fields, fields=fields, padding=padding),
        changed=changed,
        size=(height, width),
        lead=lead,
        padding=padding,
    )


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
        rng: RandomNumbers,
        lead: tuple[int, ...],
        strength: float,
        probability: float,
    ) -> View:
        """The view that these random numbers give: what training does with them."""
        rule = "must be 1 for a policy: set probability, the share of changed images"
        require(strength == 1, "strength", rule, strength)
        policy, choice, size = self.policy, self.policy.choose(rng), x.shape[2:]
        changed = None
        if probability < 1:
            changed = rng.fork("changed").uniform(0, 1) < probability
        return View(
            warp=partial(policy.flow, choice, *size),
            draw=partial(policy.render, choice=choice, rng=rng),
            changed=changed,
            size=(size[0], size[1]),
            lead=lead,
        )
