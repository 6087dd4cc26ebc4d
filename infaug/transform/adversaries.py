"""G, its critics and their optimizers: the whole state of an adversarial fit."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from infaug.config import AdversarialConfig
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

    @torch.no_grad()
    def take_average(self, kept: float) -> None:
        """Move the average towards G as it stands: average = kept * average + ..."""
        pairs = zip(self.average.parameters(), self.generator.parameters(), strict=True)
        for mean, now in pairs:
            mean.lerp_(now, 1 - kept)

    def tensors(self) -> dict[str, Tensor]:
        """The whole state by name, for a checkpoint."""
        state: dict[str, Tensor] = {}
        for name, network in self.networks.items():
            items = network.state_dict().items()
            state |= {f"{name}/weights/{key}": value for key, value in items}
            moments = self.optimizers[name].state_dict()["state"]
            for index, tensors in moments.items():
                items = tensors.items()
                state |= {f"{name}/{index}/{key}": value for key, value in items}
        items = self.average.state_dict().items()
        return state | {f"average/weights/{key}": value for key, value in items}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Continue from what `tensors` returned."""
        start = "average/weights/"
        self.average.load_state_dict(
            {k.removeprefix(start): v for k, v in state.items() if k.startswith(start)}
        )
        for name, network in self.networks.items():
            weights: dict[str, Tensor] = {}
            moments: dict[int, dict[str, Tensor]] = {}
            for path, value in state.items():
                owner, part, key = path.split("/", 2)
                if owner == name and part == "weights":
                    weights[key] = value
                elif owner == name:
                    moments.setdefault(int(part), {})[key] = value
            network.load_state_dict(weights)
            groups = self.optimizers[name].state_dict()["param_groups"]
            self.optimizers[name].load_state_dict(
                {"state": moments, "param_groups": groups}
            )


def build_adversaries(
    generator: Generator, critics: dict[str, nn.Module], config: AdversarialConfig
) -> Adversaries:
    """G and critics, each with an Adam of its own; the average begins as G."""
    optimizers: dict[str, Optimizer] = {
        name: Adam(critic.parameters(), config.critic_learning_rate, config.betas)
        for name, critic in critics.items()
    }
    optimizers["generator"] = Adam(
        generator.parameters(), config.generator_learning_rate, config.betas
    )
    average = copy.deepcopy(generator).requires_grad_(False)
    return Adversaries(generator, average, critics, optimizers)
