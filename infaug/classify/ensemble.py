"""Several F as one."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Ensemble(nn.Module):
    """The mean of the probabilities of several F, as logits."""

    def __init__(self, members: Sequence[nn.Module]):
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B Y"]:
        """Logarithms of the mean probabilities, nats."""
        each = torch.stack([member(x).log_softmax(dim=1) for member in self.members])
        return each.logsumexp(dim=0) - math.log(len(each))
