"""E: image -> tau."""

import itertools

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from infaug.transform.shape import layer_table


class Estimator(nn.Module):
    """Four convolutions (three at 28 px) and a linear layer; tau lies in (-1, 1).

    Layers are those of Lee et al. (ICLR 2019 submission, appendix A): 4x4 convolutions,
    stride 1 then 2, ReLU, linear, tanh. Differs from the appendix: stride 1 is
    padded to "same", without which the table's sizes do not follow.
    """

    def __init__(self, tau_size: int, channels: int, height: int, width: int):
        super().__init__()
        table = layer_table(height, width)
        self.first = nn.Conv2d(channels, table.widths[0], 4)
        self.down = nn.ModuleList(
            nn.Conv2d(a, b, 4, stride=2) for a, b in itertools.pairwise(table.widths)
        )
        self.linear = nn.Linear(table.bottom_features, tau_size)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B T"]:
        """Tau of each image in [0, 1]."""
        out = F.relu(self.first(F.pad(x, (1, 2, 1, 2))))
        for layer in self.down:
            # Odd sides round up: pad one more on the far side.
            far_h, far_w = 1 + out.shape[2] % 2, 1 + out.shape[3] % 2
            out = F.relu(layer(F.pad(out, (1, far_w, 1, far_h))))
        return torch.tanh(self.linear(out.flatten(1)))
