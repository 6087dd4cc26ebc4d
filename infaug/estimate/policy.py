"""A policy over ready-made operations, taught by influence.

No gradient passes through the operations: the influence of a view, which costs one
forward pass of F, is the reward of the operations that made it. The policy follows the
natural gradient (Kakade, 2001), which for a softmax adds to each logit the advantage of
its choice. Where every choice is drawn twice in a batch, that beats REINFORCE by Adam,
whose steps are as large for noise as for advantage. A uniform
policy of one draw is TrivialAugment, a policy of one choice any fixed augmentation.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.functional import one_hot
from torch.optim import SGD, Optimizer

from infaug.config import PolicyConfig
from infaug.descent import descend
from infaug.estimate.fit import Batch, Scores
from infaug.randomness import RandomNumbers
from infaug.state import fill
from infaug.transform.operations import (
    OF_COLOUR,
    OPERATIONS,
    apply_operations,
    sources_of,
)
from infaug.transform.spatial import pixel_grid
from infaug.world import World


@dataclass(frozen=True, eq=False)
class Choice:
    """What is picked for every image: one operation and strength at each position."""

    picked: Int64[Tensor, "B P"]
    """Operation times `num_strengths`, plus the strength's interval."""
    jitter: Float[Tensor, "B P"]
    """Where in its interval a strength lies, in [0, 1)."""


class Policy(nn.Module):
    """Softmax over operation x strength, at each of `num_draws` positions.

    One distribution for all images. It begins uniform.

    Raises:
        ValueError: if an operation is unknown.
    """

    def __init__(self, config: PolicyConfig, channels: int):
        super().__init__()
        self.config, self.channels = config, channels
        self.names = usable_operations(config.operations, channels)
        size = len(self.names) * config.num_strengths
        self.logits = nn.Parameter(torch.zeros(config.num_draws, size))

    def choose(self, rng: RandomNumbers) -> Choice:
        """A choice for each image, by inversion of the cumulative probabilities."""
        positions = self.config.num_draws
        unit = rng.fork("choice").uniform(0, 1, positions)
        ends = self.logits.detach().double().softmax(dim=1).cumsum(dim=1)
        ends = ends.to(unit.device)
        picked = torch.searchsorted(ends, unit.double().T.contiguous(), right=True).T
        picked = picked.clamp_max(ends.shape[1] - 1)
        jitter = rng.fork("jitter").uniform(0, 1, positions)
        return Choice(picked, jitter)

    def render(
        self, x: Float[Tensor, "B C H W"], choice: Choice, rng: RandomNumbers
    ) -> Float[Tensor, "B C H W"]:
        """The images after their operations."""
        for position in range(self.config.num_draws):
            numbers, strength = self._at(choice, position)
            own = rng.fork("operation", position)
            x = apply_operations(x, self.names, numbers, strength, own)
        return x

    def flow(self, choice: Choice, height: int, width: int) -> Float[Tensor, "B H W 2"]:
        """Where each pixel of `render` comes from, (x, y) in [-1, 1]."""
        maps = torch.eye(3, device=choice.picked.device)
        for position in range(self.config.num_draws):
            numbers, strength = self._at(choice, position)
            maps = maps @ sources_of(self.names, numbers, strength, (height, width))
        grid = pixel_grid(height, width, like=maps)
        moved = torch.einsum("bij,hwj->bhwi", maps[:, :2, :2], grid)
        return moved + maps[:, None, None, :2, 2]

    def _at(self, choice: Choice, position: int) -> tuple[Tensor, Tensor]:
        """Number of each image's operation at a position, and its strength."""
        num, picked = self.config.num_strengths, choice.picked[:, position]
        interval = picked % num + choice.jitter[:, position]
        return picked // num, 2 * interval / num - 1

    @torch.no_grad()
    def forward(
        self, x: Float[Tensor, "B C H W"], rng: RandomNumbers
    ) -> Float[Tensor, "B C H W"]:
        """One view of each image."""
        return self.render(x, self.choose(rng), rng)

    def entropy(self) -> Float[Tensor, ""]:
        """Mean over positions, as a share of the uniform policy's."""
        logs = self.logits.log_softmax(dim=1)
        return -(logs.exp() * logs).sum(dim=1).mean() / math.log(logs.shape[1])

    @torch.no_grad()
    def shares(self) -> dict[str, float]:
        """Probability of every operation, mean over positions."""
        probs = self.logits.softmax(dim=1).unflatten(1, (len(self.names), -1))
        return dict(zip(self.names, probs.sum(dim=2).mean(dim=0).tolist(), strict=True))


def policy_of(
    config: PolicyConfig,
    channels: int,
    tensors: Mapping[str, Tensor],
    path: Path,
    remedy: str,
) -> Policy:
    """The policy with these probabilities, which `path` holds; it does not learn.

    Raises:
        ValueError: if they are not those of such a policy.
    """
    policy = Policy(config, channels)
    fill(policy, tensors, path, remedy)
    return policy.eval().requires_grad_(False)


def usable_operations(names: tuple[str, ...], channels: int) -> tuple[str, ...]:
    """The named operations, without those of colour if the images are grey.

    Raises:
        ValueError: if an operation is unknown.
    """
    if unknown := [name for name in names if name not in OPERATIONS]:
        raise ValueError(
            f"policy.operations: there is no operation {unknown[0]!r}: choose among "
            f"{', '.join(OPERATIONS)}"
        )
    return tuple(n for n in names if channels == 3 or n not in OF_COLOUR)


def build_policy_optimizer(policy: Policy) -> Optimizer:
    """Plain steps along the natural gradient."""
    return SGD([policy.logits], lr=policy.config.learning_rate)


def fit_policy(
    policy: Policy,
    optimizer: Optimizer,
    scores_of: Scores,
    batch_at: Callable[[int], Batch],
    steps: range,
    *,
    world: World,
) -> Iterator[tuple[int, dict[str, float]]]:
    """Update the policy once for each of `steps`, yielding after each.

    Yields:
        (step, {"objective", "entropy", "gradient_norm"}): the mean influence of the
        views against their images (negative where the policy is predicted to help), and
        the entropy as a share of the uniform policy's.

    Raises:
        ValueError: if a score is not finite.
    """
    for step in steps:
        x, y, rng = batch_at(step)
        choice = policy.choose(rng)
        with torch.no_grad():
            x_aug = policy.render(x, choice, rng)
            scores = scores_of(step, x_aug, y) - scores_of(step, x, y)
        everyone, picked = world.gather(scores), world.gather(choice.picked)
        reward = (everyone.mean() - everyone) / everyone.std().clamp_min(1e-8)
        logits, decay = policy.logits, policy.config.decay
        ahead = advantages(policy, picked, reward) - decay * logits.detach()
        _, norm = descend(
            [-(logits * ahead).sum() / world.size], optimizer, world, name="policy"
        )
        keep_entropy(policy)
        yield (
            step,
            {
                "objective": float(everyone.mean()),
                "entropy": float(policy.entropy().detach()),
                "gradient_norm": norm,
            },
        )


def advantages(
    policy: Policy, picked: Int64[Tensor, "B P"], reward: Float[Tensor, "B"]
) -> Float[Tensor, "P C"]:
    """Mean reward of every choice, shrunken towards 0 by `shrinkage` images.

    Neighbouring strengths of an operation lend each other a quarter of what they saw.
    """
    size = policy.logits.shape[1]
    # One-hot instead of index_add: the sums have the same bytes on any device.
    drawn = one_hot(picked, size).to(policy.logits.dtype)
    total = torch.einsum("bpc,b->pc", drawn, reward.to(drawn.dtype))
    seen = _over_strengths(drawn.sum(dim=0), policy.config.num_strengths)
    total = _over_strengths(total, policy.config.num_strengths)
    return total / (seen + policy.config.shrinkage).clamp_min(1e-8)


def _over_strengths(values: Float[Tensor, "P C"], num: int) -> Float[Tensor, "P C"]:
    """Half of each value and a quarter of both neighbours', the ends repeated."""
    rows = values.unflatten(1, (-1, num))
    padded = torch.cat([rows[..., :1], rows, rows[..., -1:]], dim=2)
    return (padded[..., :-2] / 4 + rows / 2 + padded[..., 2:] / 4).flatten(1)


@torch.no_grad()
def keep_entropy(policy: Policy) -> None:
    """Flatten the policy, if need be, until it has its minimal entropy.

    All logits are multiplied by the largest factor in [0, 1] that does; by bisection. A
    weight that adapts (as in Soft Actor-Critic) falls behind: rewards favour one choice
    for many updates on end, and it has collapsed before the weight has grown.
    """
    minimum, logits = policy.config.min_entropy, policy.logits.clone()
    if policy.entropy() >= minimum:
        return
    low, high = 0.0, 1.0
    for _ in range(30):
        middle = (low + high) / 2
        policy.logits.copy_(middle * logits)
        low, high = (low, middle) if policy.entropy() < minimum else (middle, high)
    policy.logits.copy_(low * logits)
