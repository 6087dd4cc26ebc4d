"""G: tau -> fields, by the papers' transposed convolutions."""

import itertools

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from infaug.config import TransformConfig
from infaug.transform.fields import Fields, num_field_channels
from infaug.transform.shape import layer_table
from infaug.transform.spatial import (
    flow_of,
    pixel_grid,
    spectral_norm,
    stretch,
)


class Generator(nn.Module):
    """A transformation model: fields for every tau, bounded and smooth.

    Layers are those of Lee et al. (ICLR 2019 submission, appendix A.1 and A.2) at 28x28
    and 32x32, and the rule of `layer_table` elsewhere: linear, then 4x4 transposed
    convolutions of stride 2, then one of stride 1 whose 8 (grey) or 18 (RGB) channels
    are the fields. The table cannot be built to the letter: the last layer's output is
    one crop larger than the image, and so is cropped.

    Outputs are average-pooled, then bounded by tanh times a strength for each field.
    """

    def __init__(self, config: TransformConfig, channels: int, height: int, width: int):
        super().__init__()
        self.config = config
        self.channels = channels
        self.table = table = layer_table(height, width)
        self.linear = nn.Linear(config.tau_size, table.bottom_features)
        widths = table.widths[::-1]
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(wide, narrow, 4, stride=2, padding=1)
            for wide, narrow in itertools.pairwise(widths)
        )
        self.out = nn.ConvTranspose2d(widths[-1], num_field_channels(channels), 4)

    def forward(self, tau: Float[Tensor, "B T"]) -> Fields:
        """Fields of each tau."""
        return self.bound(self.unbounded(tau))

    def unbounded(self, tau: Float[Tensor, "B T"]) -> Float[Tensor, "B F H W"]:
        """Smooth fields before tanh; zero is the identity."""
        height, width = self.table.sizes[-1]
        out = self.linear(tau).view(-1, self.table.widths[-1], height, width)
        for layer, (height, width) in zip(
            self.up, self.table.sizes[-2::-1], strict=True
        ):
            out = F.relu(layer(out))[:, :, :height, :width]
        # Coordinates need more than bfloat16's 8 bits, whatever the layers ran in.
        raw = self.out(out)[:, :, 1:-2, 1:-2].to(tau.dtype)
        with torch.autocast(tau.device.type, enabled=False):
            return pool(raw, self.config.pooling)

    def bound(self, unbounded: Float[Tensor, "B F H W"]) -> Fields:
        """tanh, times the strength of each field; a flow that would fold is reduced.

        Where the displacement stretches by more than `flow_bound` it is scaled down to
        it as a whole. The identity plus a contraction is one-to-one, so below 1 the
        flow cannot fold, and fixed-point iteration inverts it.
        """
        squared = self.channels * self.channels
        parts = torch.tanh(unbounded).split([4, 2, squared, self.channels], dim=1)
        matrix, offset, filter_, bias = parts
        matrix = self.config.matrix_strength * matrix
        offset = self.config.offset_strength * offset
        if self.config.flow_bound is not None:
            most = self._stretch(matrix, offset)
            share = (self.config.flow_bound / most).clamp_max(1)[:, None, None, None]
            matrix, offset = share * matrix, share * offset
        return Fields(
            matrix=matrix,
            offset=offset,
            filter=self.config.filter_strength * filter_,
            bias=self.config.bias_strength * bias,
        )

    def _stretch(self, matrix: Tensor, offset: Tensor) -> Float[Tensor, "B"]:
        if self.config.pooling == "global":
            # An affine map stretches by its matrix, everywhere.
            return spectral_norm(matrix[:, [0, 2], 0, 0], matrix[:, [1, 3], 0, 0])
        flow = flow_of(matrix, offset)
        return stretch(flow - pixel_grid(*flow.shape[1:3], like=flow))

    @torch.no_grad()
    def calibrate(self, tau: Float[Tensor, "B T"]) -> None:
        """Centre the fields of these taus on the identity, with the configured spread.

        Without it every tau is nearly the same transformation: means over positions of
        random layers' outputs vary little, and about a mean that is not zero.
        """
        pooled = self.unbounded(tau)
        centre = pooled.mean(dim=(0, 2, 3))
        spread = pooled.sub(pooled.mean(dim=0)).square().mean(dim=(0, 2, 3)).sqrt()
        scale = self.config.initial_spread / spread
        self.out.weight.mul_(scale[None, :, None, None])
        assert self.out.bias is not None
        self.out.bias.sub_(centre).mul_(scale)


def pool(fields: Float[Tensor, "B F H W"], pooling: str) -> Float[Tensor, "B F H W"]:
    """Smooth fields: local means, their global mean, or the mean of both.

    The window is 9 at 28-32 px and grows with the image; pixels beyond the border are
    left out of the mean. A global mean makes the flow an affine map (Lee et al., ICLR
    2019 submission, section 4.1).
    """
    everywhere = fields.mean(dim=(2, 3), keepdim=True).expand_as(fields)
    if pooling == "global":
        return everywhere
    height, width = fields.shape[2:]
    window = 2 * (min(height, width) // 7) + 1
    # Box means are separable and linear: two small matrix products, each way.
    rows = box_mean(height, window, like=fields)
    columns = box_mean(width, window, like=fields)
    local = rows @ fields @ columns.T
    return local if pooling == "local" else (local + everywhere) / 2


def box_mean(length: int, window: int, *, like: Tensor) -> Float[Tensor, "L L"]:
    """Matrix that replaces each of `length` values by the mean of those around it.

    >>> box_mean(3, 3, like=torch.zeros(()))[0].tolist()
    [0.5, 0.5, 0.0]
    """
    place = torch.arange(length, device=like.device)
    near = (place[:, None] - place).abs() <= window // 2
    return (near / near.sum(dim=1, keepdim=True)).to(like.dtype)
