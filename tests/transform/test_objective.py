import itertools
import math

import pytest
import torch
from torch import nn

from infaug.config import AffineRanges
from infaug.randomness import RandomNumbers
from infaug.transform.affine_flows import random_affine_flows
from infaug.transform.critics import (
    FeatureCritic,
    FlowCritic,
    ImageCritic,
    image_and_feature_critics,
    image_and_flow_critics,
)
from infaug.transform.objective import (
    gradient_penalty,
    inverse_mse,
    local_loss,
    relativistic_average_critic_loss,
    relativistic_average_generator_loss,
    squared_error,
    wasserstein_critic_loss,
    wasserstein_generator_loss,
    whole_batch,
)
from infaug.world import World


def randn(*shape: int, seed: int = 0) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=rng, dtype=torch.float64)


def test_a_linear_critics_penalty_does_not_depend_on_the_points():
    weight = randn(1, 2, 3, 3)
    penalty = gradient_penalty(
        lambda z: (z * weight).sum(dim=(1, 2, 3)) + 7,
        randn(5, 2, 3, 3, seed=1),
        randn(5, 2, 3, 3, seed=2),
        torch.rand(5, dtype=torch.float64),
    )
    expected = (weight.norm() - 1).square().expand(5)
    torch.testing.assert_close(penalty, expected)


def test_the_penalty_is_taken_between_real_and_fake():
    real, fake, mix = randn(4, 3), randn(4, 3, seed=1), torch.rand(4).double()
    penalty = gradient_penalty(lambda z: z.square().sum(dim=1) / 2, real, fake, mix)
    between = mix[:, None] * real + (1 - mix[:, None]) * fake
    torch.testing.assert_close(penalty, (between.norm(dim=1) - 1).square())


@pytest.mark.parametrize(
    ("critic", "shape"),
    [
        (FeatureCritic(3), (3,)),
        (ImageCritic(1, 5, 5), (1, 5, 5)),
        (FlowCritic(8, 8), (8, 8, 2)),
    ],
)
def test_the_penaltys_gradient_in_the_weights_is_its_slope(
    critic: nn.Module, shape: tuple[int, ...]
):
    critic.double()
    real, fake, mix = randn(3, *shape), randn(3, *shape, seed=1), torch.rand(3).double()
    weights = list(critic.parameters())
    directions = [randn(*w.shape, seed=2) for w in weights]

    def penalty() -> torch.Tensor:
        return gradient_penalty(critic, real, fake, mix).mean()

    gradients = torch.autograd.grad(penalty(), weights, allow_unused=True)
    pairs = zip(gradients, directions, strict=True)
    predicted = sum((g * d).sum() for g, d in pairs if g is not None)

    def moved(step: float) -> torch.Tensor:
        for weight, direction in zip(weights, directions, strict=True):
            weight.data += step * direction
        return penalty().detach()

    # Steps so small that no leaky unit changes side.
    step = 1e-7
    slope = (moved(step) - moved(-2 * step)) / (2 * step)
    torch.testing.assert_close(predicted, slope, rtol=1e-4, atol=1e-6)


def test_wasserstein_losses_are_opposites_and_see_only_differences():
    real, fake = randn(6), randn(6, seed=1)
    critic = wasserstein_critic_loss(real, fake)
    torch.testing.assert_close(critic, -wasserstein_generator_loss(real, fake))
    torch.testing.assert_close(critic, wasserstein_critic_loss(real + 3, fake + 3))
    assert wasserstein_critic_loss(fake + 1, fake) == pytest.approx(-1)


def test_relativistic_losses_are_the_plain_formula():
    real, fake = randn(6), randn(6, seed=1)

    def logistic(z: float) -> float:
        return 1 / (1 + math.exp(-z))

    def plain(over: list[float], under: list[float]) -> float:
        mean_over, mean_under = sum(over) / 6, sum(under) / 6
        first = sum(math.log(logistic(o - mean_under)) for o in over)
        second = sum(math.log(1 - logistic(u - mean_over)) for u in under)
        return -(first + second) / 6

    r, f = real.tolist(), fake.tolist()
    critic = relativistic_average_critic_loss(real, fake)
    generator = relativistic_average_generator_loss(real, fake)
    assert critic.item() == pytest.approx(plain(r, f), rel=1e-12)
    assert generator.item() == pytest.approx(plain(f, r), rel=1e-12)
    blind = relativistic_average_critic_loss(torch.ones(2), torch.ones(2))
    assert blind.item() == pytest.approx(2 * math.log(2))


def test_the_inverse_mse_is_finite_at_the_identity_and_falls_away_from_it():
    x = randn(4, 1, 3, 3)
    losses = [inverse_mse(squared_error(x, x + d), 0.01) for d in (0.0, 0.1, 0.2, 1.0)]
    assert losses[0].item() == pytest.approx(100)
    assert losses[1].item() == pytest.approx(1 / (0.01 + 0.01))
    assert all(a > b for a, b in itertools.pairwise(losses))


SIZES = (3, 2)


class Peer(World):
    """One of two processes with unequal parts, told what a gather returns."""

    def gather(self, part: torch.Tensor) -> torch.Tensor:
        if part.dtype == torch.int64:
            return torch.tensor(SIZES)
        return torch.cat([randn(n, 2, seed=rank) for rank, n in enumerate(SIZES)])


@pytest.mark.parametrize(
    "loss",
    [
        lambda rows: relativistic_average_critic_loss(*rows.unbind(1)),
        lambda rows: inverse_mse(rows.square().mean(dim=1), 0.01),
    ],
)
def test_parts_of_a_loss_that_is_no_sum_still_add_up(loss):
    parts = [randn(n, 2, seed=rank).requires_grad_() for rank, n in enumerate(SIZES)]
    values = []
    for rank, part in enumerate(parts):
        peer = Peer(rank=rank, size=2)
        value = local_loss(loss(whole_batch(part, peer)), peer)
        value.backward()
        values.append(value.detach())
    together = torch.cat([part.detach() for part in parts]).requires_grad_()
    expected = loss(together)
    expected.backward()
    torch.testing.assert_close(sum(values), expected.detach())
    ours = torch.cat([part.grad for part in parts])
    torch.testing.assert_close(ours, together.grad)


def table(critic: ImageCritic) -> list[tuple[int, ...]]:
    layers = [critic.first, *critic.down]
    return [(m.in_channels, m.out_channels, *m.kernel_size, *m.stride) for m in layers]


def test_layers_are_the_papers_tables():
    grey = ImageCritic(1, 28, 28)
    assert table(grey) == [
        (1, 16, 4, 4, 1, 1),
        (16, 32, 4, 4, 2, 2),
        (32, 64, 4, 4, 2, 2),
    ]
    assert (grey.linear.in_features, grey.linear.out_features) == (3136, 1)
    colour = ImageCritic(3, 32, 32)
    assert table(colour)[0] == (3, 16, 4, 4, 1, 1)
    assert table(colour)[-1] == (64, 128, 4, 4, 2, 2)
    assert colour.linear.in_features == 2048
    assert table(FlowCritic(28, 28).body)[0] == (2, 16, 4, 4, 1, 1)


@pytest.mark.parametrize("size", [(16, 16), (28, 28), (33, 47), (5, 5)])
def test_every_size_has_critics(size):
    assert ImageCritic(3, *size)(torch.rand(2, 3, *size)).shape == (2,)
    assert FlowCritic(*size)(torch.rand(2, *size, 2)).shape == (2,)


def test_a_sample_is_scored_on_its_own():
    flows = random_affine_flows(RandomNumbers.of_size(6, "a"), AffineRanges(), 16, 16)
    for critic, seen in [
        (ImageCritic(1, 16, 16), torch.rand(6, 1, 16, 16)),
        (FlowCritic(16, 16), flows),
        (FeatureCritic(5), torch.randn(6, 5)),
    ]:
        torch.testing.assert_close(critic(seen)[2:4], critic(seen[2:4]))


def test_initial_weights_are_a_function_of_the_seed():
    def weights(*seed):
        critics = [
            *image_and_flow_critics(1, 8, 8, *seed).values(),
            *image_and_feature_critics(1, 8, 8, 5, *seed).values(),
        ]
        return torch.cat([p.flatten() for c in critics for p in c.parameters()])

    before = torch.random.get_rng_state()
    assert weights(0).equal(weights(0))
    assert not weights(0).equal(weights(1))
    assert torch.random.get_rng_state().equal(before)
