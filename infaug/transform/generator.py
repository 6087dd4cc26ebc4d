"""G: tau -> fields, by the papers' transposed convolutions."""

import itertools

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from infaug.config import TransformConfig
from infaug.transform.fields import Fields, num_field_channels
from infaug.transform.layers import layer_table
from infaug.transform.spatial import flow_of, pixel_grid, spectral_norm, stretch


class Generator(nn.Module):
    """A transformation model: fields for every tau, bounded and smooth.

    Layers are those of Lee et al. (ICLR 2019 submission, appendix A.1 and A.2) at 28x28
    and 32x32, and the rule of `layer_table` elsewhere: linear, then 4x4 transposed
    convolutions of stride 2, then one of stride 1 whose 8 (grey) or 18 (RGB) channels
    are the fields. The table cannot be built to the letter: the last layer's output is
    one crop larger than the image, and so is cropped. Above 64 px fields are made at
    half or a quarter of the side, and upsampled.

    Outputs are average-pooled, then bounded by tanh times a strength for each field.
    """

    def __init__(self, config: TransformConfig, channels: int, height: int, width: int):
        super().__init__()
        self.config = config
        self.channels = channels
        self.size = (height, width)
        self.table = table = layer_table(height, width).of_fields
        self.linear = nn.Linear(config.tau_size, table.bottom_features)
        widths = table.widths[::-1]
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(wide, narrow, 4, stride=2, padding=1)
            for wide, narrow in itertools.pairwise(widths)
        )
        self.out = nn.ConvTranspose2d(
            widths[-1], num_field_channels(channels), table.first_kernel
        )

    def forward(self, tau: Float[Tensor, "B T"]) -> Fields:
        """Fields of each tau."""
        return self.bound(self.unbounded(tau))

    def unbounded(self, tau: Float[Tensor, "B T"]) -> Float[Tensor, "B F H W"]:
        """Smooth fields before tanh; zero is the identity."""
        pooled = self.pooled(tau)
        if pooled.shape[2:] == self.size:
            return pooled
        with torch.autocast(tau.device.type, enabled=False):
            return F.interpolate(pooled, self.size, mode="bilinear")

    def pooled(self, tau: Float[Tensor, "B T"]) -> Float[Tensor, "B F h w"]:
        """`unbounded` at the size at which the layers make it."""
        out = self._seed(tau)
        for layer, size in zip(self.up, self.table.sizes[-2::-1], strict=True):
            out = _grow(layer, out, size)
        near, far = (self.table.first_kernel - 1) // 2, self.table.first_kernel // 2
        # Coordinates need more than bfloat16's 8 bits, whatever the layers ran in.
        raw = self.out(out)[:, :, near:-far, near:-far].to(tau.dtype)
        with torch.autocast(tau.device.type, enabled=False):
            return pool(raw, self.config.pooling)

    def _seed(self, tau: Float[Tensor, "B T"]) -> Float[Tensor, "B W h w"]:
        return self.linear(tau).view(-1, self.table.widths[-1], *self.table.sizes[-1])

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
    def calibrate(self, tau: Float[Tensor, "B T"], spread: float) -> None:
        """Centre the fields of these taus on zero, with this spread, before tanh.

        Without it every tau is nearly the same transformation: means over positions of
        random layers' outputs vary little, and about a mean that is not zero.
        """
        pooled = self.pooled(tau)
        centre = pooled.mean(dim=(0, 2, 3))
        found = pooled.sub(pooled.mean(dim=0)).square().mean(dim=(0, 2, 3)).sqrt()
        scale = spread / found
        self.out.weight.mul_(scale[None, :, None, None])
        assert self.out.bias is not None
        self.out.bias.sub_(centre).mul_(scale)

    @torch.no_grad()
    def condition(
        self, tau: Float[Tensor, "B T"], covariance: Float[Tensor, "F F"]
    ) -> None:
        """Prepare for an adversarial fit: tame every layer, then give fields moments.

        Over these taus the fields get mean zero and `covariance`, before tanh. Means
        over positions of a random network's outputs hardly depend on tau, so
        `calibrate` alone makes the last weights large (standard deviation 39 at 28x28),
        and a step of Adam at 1e-4 may move a field by 0.84 before tanh. Here half of
        the variance of a position is shared by all positions of its channel, and what
        enters every ReLU is centred, with unit variance: 0.08.
        """
        bottom = self.linear.weight.view(self.table.widths[-1], -1, tau.shape[1])
        bottom.copy_((bottom + bottom[:, :1].clone()) / 2**0.5)
        self.linear.weight.div_(self.linear(tau).std())
        self.linear.bias.zero_()
        out = self._seed(tau)
        for layer, size in zip(self.up, self.table.sizes[-2::-1], strict=True):
            before = _crop(layer(out), size)
            mean, std = before.mean(dim=(0, 2, 3)), before.std(dim=(0, 2, 3))
            assert isinstance(layer, nn.ConvTranspose2d)
            assert layer.bias is not None
            layer.weight.div_(std[:, None, None])
            layer.bias.sub_(mean).div_(std)
            out = _grow(layer, out, size)
        self._mix_outputs(self.pooled(tau), covariance)

    def _mix_outputs(
        self, pooled: Float[Tensor, "B F h w"], covariance: Float[Tensor, "F F"]
    ) -> None:
        """Pooling is linear, so mixing the last layer's channels mixes the fields."""
        fields = pooled.double().transpose(0, 1).flatten(1)
        mix = _root(covariance.double()) @ torch.linalg.inv(
            torch.linalg.cholesky(fields.cov())
        )
        mixed = torch.einsum("gf,wfij->wgij", mix, self.out.weight.double())
        self.out.weight.copy_(mixed)
        assert self.out.bias is not None
        self.out.bias.copy_(mix @ (self.out.bias.double() - fields.mean(dim=1)))


def _root(covariance: Float[Tensor, "F F"]) -> Float[Tensor, "F F"]:
    """R with R R^T = covariance, which may be singular.

    Cholesky's where there is one; else the symmetric root, which has no choice of signs
    or order that another machine could make differently.
    """
    root, failed = torch.linalg.cholesky_ex(covariance)
    if not failed:
        return root
    values, vectors = torch.linalg.eigh(covariance)
    return (vectors * values.clamp_min(0).sqrt()) @ vectors.T


def _grow(layer: nn.Module, x: Tensor, size: tuple[int, int]) -> Tensor:
    return _crop(F.relu(layer(x)), size)


def _crop(x: Tensor, size: tuple[int, int]) -> Tensor:
    return x[:, :, : size[0], : size[1]]


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
