"""What one panel of a picture shows."""

import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from torch import Tensor

from infaug.transform.spatial import pixel_grid

ARROWS = 7  # along each side of an image


def show_image(axis: Axes, image: Float[Tensor, "C H W"]) -> None:
    """Draw an image with values in [0, 1], grey or colour."""
    pixels = image.clamp(0, 1).permute(1, 2, 0).squeeze(-1)
    axis.imshow(pixels.numpy(), cmap="gray", vmin=0, vmax=1, interpolation="nearest")


def show_flow(axis: Axes, flow: Float[Tensor, "H W 2"]) -> None:
    """Draw a flow as arrows, from places in the output to where their values lie."""
    height, width = flow.shape[:2]
    grid = pixel_grid(height, width, like=flow)
    ys = torch.linspace(0, height - 1, ARROWS + 2)[1:-1].round().long()
    xs = torch.linspace(0, width - 1, ARROWS + 2)[1:-1].round().long()
    tail, tip = (g[ys][:, xs].reshape(-1, 2).T for g in (grid, flow))
    axis.quiver(
        *tail, *(tip - tail), angles="xy", scale_units="xy", scale=1, color="#2266aa",
        width=0.013, headwidth=4, headlength=4, headaxislength=3.5,
    )  # fmt: skip
    # y points downwards, as in the image.
    axis.set(xlim=(-1, 1), ylim=(1, -1), aspect=height / width)
