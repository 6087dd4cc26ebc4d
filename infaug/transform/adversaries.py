"""G, its critics and their optimizers: the whole state of an adversarial fit."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from infaug.config import AdversarialConfig
from infaug.transform.generator import Generator


@dataclass(frozen=True)
class Adversaries:
    """G, its critics by what they see (image, flow, feature), and all optimizers.

    `optimizers` has the critics' names and "generator".
    """

    generator: Generator
    critics: dict[str, nn.Module]
    optimizers: dict[str, Optimizer]

    @property
    def networks(self) -> dict[str, nn.Module]:
        """All that learns, by the optimizers' names."""
        return {**self.critics, "generator": self.generator}

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
        return state

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Continue from what `tensors` returned."""
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
    """G and critics, each with an Adam of its own."""
    optimizers: dict[str, Optimizer] = {
        name: Adam(network.parameters(), rate_of(name, config), config.betas)
        for name, network in {**critics, "generator": generator}.items()
    }
    return Adversaries(generator, critics, optimizers)


def rate_of(name: str, config: AdversarialConfig) -> float:
    """The learning rate of G, or of a critic, at the start."""
    if name == "generator":
        return config.generator_learning_rate
    return config.critic_learning_rate
