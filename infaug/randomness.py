"""Random numbers that depend on what they are for, never on when or where drawn.

Every generator is seeded from a key that says what it is for: (run seed, "views",
round, step, ...). So there is no random state to save: a resumed run draws what the
uninterrupted one would.
A batch is cut into groups whose number the config fixes; each group has its own
generator, so a sample gets the same numbers however many workers share the batch.
Numbers are drawn on the CPU, so every device sees the same ones.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b

import torch
from jaxtyping import Float
from torch import Tensor

SeedKey = int | str


def generator(*seed_key: SeedKey) -> torch.Generator:
    """A CPU generator whose seed is a hash of its key.

    >>> a, b = generator(0, "views", 1), generator(0, "views", 1)
    >>> bool(torch.rand(3, generator=a).equal(torch.rand(3, generator=b)))
    True
    """
    digest = blake2b(repr(seed_key).encode(), digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "big") >> 1)


@contextmanager
def seeded(*seed_key: SeedKey) -> Iterator[None]:
    """Torch's own generator seeded for initial weights, and put back afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(generator(*seed_key).initial_seed())
        yield


class RandomNumbers:
    """Independent random numbers per sample, for the groups of a batch held here.

    Args:
        seed_key: what the numbers are for; equal keys give equal numbers.
        groups: which of the global batch's groups are held here.
        group_size: samples per group, so B = len(groups) * group_size.
        device: where the numbers are put after they are drawn.
    """

    def __init__(
        self,
        *seed_key: SeedKey,
        groups: range,
        group_size: int,
        device: torch.device | str = "cpu",
    ):
        self.seed_key = seed_key
        self.groups = groups
        self.group_size = group_size
        self.device = device
        self._generators = [generator(*seed_key, group) for group in groups]

    @classmethod
    def of_size(
        cls, num_samples: int, *seed_key: SeedKey, device: torch.device | str = "cpu"
    ) -> "RandomNumbers":
        """Those of a batch that is not shared: one group of `num_samples`."""
        return cls(*seed_key, groups=range(1), group_size=num_samples, device=device)

    def fork(self, *seed_key: SeedKey) -> "RandomNumbers":
        """Fresh ones for a part of the work, independent of the parent's."""
        return RandomNumbers(
            *self.seed_key, *seed_key, groups=self.groups, group_size=self.group_size,
            device=self.device,
        )  # fmt: skip

    def uniform(self, low: float, high: float, *shape: int) -> Float[Tensor, "B ..."]:
        """Uniform in [low, high), independent for every sample: [B, *shape]."""
        unit = [
            torch.rand(self.group_size, *shape, generator=g) for g in self._generators
        ]
        return to_device(low + (high - low) * torch.cat(unit), self.device)

    def normal(self, *shape: int) -> Float[Tensor, "B ..."]:
        """Standard normal, independent for every sample: [B, *shape]."""
        parts = [
            torch.randn(self.group_size, *shape, generator=g) for g in self._generators
        ]
        return to_device(torch.cat(parts), self.device)


def to_device(tensor: Tensor, device: torch.device | str) -> Tensor:
    """A tensor of the CPU on `device`, where nothing waits for the copy.

    Only pinned memory is copied beside what a GPU is doing.
    """
    device = torch.device(device)
    if device.type == "cuda":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)
