"""E: image -> tau."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from infaug.transform.shape import layer_table
from infaug.transform.stack import build_stack, descend_stack


class Estimator(nn.Module):
    """Four convolutions (three at 28 px) and a linear layer; tau lies in (-1, 1).

    Layers are those of Lee et al. (ICLR 2019 submission, appendix A): 4x4 convolutions,
    stride 1 then 2, ReLU, linear, tanh. Above 64 px see `transform.shape`.
    """

    def __init__(self, tau_size: int, channels: int, height: int, width: int):
        super().__init__()
        table = layer_table(height, width)
        self.first, self.down = build_stack(channels, table)
        self.linear = nn.Linear(table.bottom_features, tau_size)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B T"]:
        """Tau of each image in [0, 1]."""
        return torch.tanh(self.linear(descend_stack(x, self.first, self.down, F.relu)))
