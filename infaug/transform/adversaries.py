"""G, its critics and their optimizers: the whole state of an adversarial fit."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from infaug.config import AdversarialConfig
from infaug.descent import runs_fused
from infaug.state import (
    State,
    below,
    learning_state,
    load_learning_state,
    under,
)
from infaug.transform.generator import Generator


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
