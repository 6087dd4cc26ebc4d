"""Critics: one number for each image, flow or feature vector; large means real.

No batch normalisation: the gradient penalty is about single samples (Gulrajani et al.,
2017, section 4). What a critic returns is a score, not a probability.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam, Optimizer

from infaug.config import AdversarialConfig
from infaug.descent import runs_fused
from infaug.randomness import SeedKey, seeded
from infaug.state import State, below, learning_state, load_learning_state, under
from infaug.transform.generator import Generator
from infaug.transform.layers import build_stack, descend_stack, layer_table
from infaug.transform.spatial import pixel_grid

SLOPE = 0.2
HIDDEN = 128


class ImageCritic(nn.Module):
    """D of images: 4x4 convolutions (stride 1, then 2), LeakyReLU 0.2, linear.

    Layers are those of Lee et al. (ICLR 2019 submission, appendix A.1 and A.2) at 28x28
    and 32x32, and the rule of `layer_table` elsewhere.
    """

    def __init__(self, channels: int, height: int, width: int):
        super().__init__()
        table = layer_table(height, width)
        self.first, self.down = build_stack(channels, table)
        self.linear = nn.Linear(table.bottom_features, 1)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B"]:
        """Score of each image."""
        bottom = descend_stack(x, self.first, self.down, _leaky_relu)
        return self.linear(bottom).squeeze(1)


def _leaky_relu(x: Tensor) -> Tensor:
    return F.leaky_relu(x, SLOPE)


class FlowCritic(nn.Module):
    """D of flows: the image critic's layers on displacements, in two channels.

    The identity grid is subtracted first: it is the same in every flow and would only
    be an offset, larger than what differs. Gradients, and so the penalty, are the same.
    """

    def __init__(self, height: int, width: int):
        super().__init__()
        self.body = ImageCritic(2, height, width)

    def forward(self, flow: Float[Tensor, "B H W 2"]) -> Float[Tensor, "B"]:
        """Score of each flow."""
        moved = flow - pixel_grid(*flow.shape[1:3], like=flow)
        return self.body(moved.permute(0, 3, 1, 2))


class FeatureCritic(nn.Module):
    """D of F's features: two hidden layers of 128, LeakyReLU 0.2.

    The CVPR 2020 paper's layers are not known to us; these are our choice.
    """

    def __init__(self, num_features: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(num_features, HIDDEN),
            nn.LeakyReLU(SLOPE),
            nn.Linear(HIDDEN, HIDDEN),
            nn.LeakyReLU(SLOPE),
            nn.Linear(HIDDEN, 1),
        )

    def forward(self, h: Float[Tensor, "B D"]) -> Float[Tensor, "B"]:
        """Score of each feature vector."""
        return self.layers(h).squeeze(1)


def image_and_flow_critics(
    channels: int, height: int, width: int, *seed: SeedKey
) -> dict[str, nn.Module]:
    """The critics of the ICLR submission; initial weights are a function of `seed`."""
    with seeded(*seed, "critics"):
        return {
            "image": ImageCritic(channels, height, width),
            "flow": FlowCritic(height, width),
        }


def image_and_feature_critics(
    channels: int, height: int, width: int, num_features: int, *seed: SeedKey
) -> dict[str, nn.Module]:
    """The critics of the CVPR paper; initial weights are a function of `seed`."""
    with seeded(*seed, "critics"):
        return {
            "image": ImageCritic(channels, height, width),
            "feature": FeatureCritic(num_features),
        }


@dataclass(frozen=True)
class Adversaries:
    """G, its critics by what they see (image, flow, feature), and all optimizers.

    `optimizers` has the critics' names and "generator". `average` is the G that the fit
    ends with: the mean of G's weights over its updates, recent ones counting most.
    """

    generator: Generator
    average: Generator
    critics: dict[str, nn.Module]
    optimizers: dict[str, Optimizer]

    @property
    def networks(self) -> dict[str, nn.Module]:
        """All that learns, by the optimizers' names."""
        return {**self.critics, "generator": self.generator}

    def tensors(self) -> State:
        """The whole state by name, for a checkpoint."""
        state = under("average", self.average.state_dict())
        for name, network in self.networks.items():
            state |= learning_state(name, network, self.optimizers[name])
        return state

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Continue from what `tensors` returned."""
        self.average.load_state_dict(below("average", state))
        for name, network in self.networks.items():
            load_learning_state(name, network, self.optimizers[name], state)


def build_adversaries(
    generator: Generator, critics: dict[str, nn.Module], config: AdversarialConfig
) -> Adversaries:
    """G and critics, each with an Adam of its own; the average begins as G."""
    optimizers: dict[str, Optimizer] = {
        name: Adam(
            critic.parameters(), config.critic_learning_rate, config.betas,
            fused=runs_fused(critic.parameters()),
        )
        for name, critic in critics.items()
    }  # fmt: skip
    optimizers["generator"] = Adam(
        generator.parameters(), config.generator_learning_rate, config.betas,
        fused=runs_fused(generator.parameters()),
    )  # fmt: skip
    average = copy.deepcopy(generator).requires_grad_(False)
    return Adversaries(generator, average, critics, optimizers)
