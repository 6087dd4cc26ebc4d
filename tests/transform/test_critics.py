import pytest
import torch

from infaug.config import AffineRanges
from infaug.randomness import Draws
from infaug.transform.affine_flows import random_affine_flows
from infaug.transform.critics import (
    FeatureCritic,
    FlowCritic,
    ImageCritic,
    image_and_feature_critics,
    image_and_flow_critics,
)
from infaug.transform.spatial import pixel_grid


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
    flows = random_affine_flows(Draws.of_size(6, "a"), AffineRanges(), 16, 16)
    for critic, seen in [
        (ImageCritic(1, 16, 16), torch.rand(6, 1, 16, 16)),
        (FlowCritic(16, 16), flows),
        (FeatureCritic(5), torch.randn(6, 5)),
    ]:
        torch.testing.assert_close(critic(seen)[2:4], critic(seen[2:4]))


def test_the_flow_critic_sees_displacements():
    critic, flow = FlowCritic(8, 8), torch.rand(2, 8, 8, 2)
    moved = (flow - pixel_grid(8, 8, flow)).permute(0, 3, 1, 2)
    torch.testing.assert_close(critic(flow), critic.body(moved))


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
