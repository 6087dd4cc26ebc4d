"""Tensors as pictures inside a page."""

import base64
import io

import torch
from jaxtyping import Float
from markupsafe import Markup
from matplotlib import colormaps
from PIL import Image
from torch import Tensor

from infaug.transform.spatial import pixel_grid

LARGEST_PX = 80  # a page holds hundreds of them
SIDE, MARGIN = 60, 7  # of a drawn flow, in its own units
HEAD = 2.6


def picture(image: Float[Tensor, "C H W"]) -> str:
    """An image with values in [0, 1] as the URI of a PNG; large ones are made smaller.

    >>> picture(torch.zeros(1, 2, 2))[:22]
    'data:image/png;base64,'
    """
    pixels = (image.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0)
    return _encoded(Image.fromarray(pixels.squeeze(-1).cpu().numpy()))


def change_picture(change: Float[Tensor, "C H W"], reach: float) -> str:
    """What the appearance model adds: blue darkens, white is nothing, red lightens."""
    share = change.mean(dim=0) / (2 * reach) + 0.5
    colours = colormaps["RdBu_r"](share.clamp(0, 1).cpu().numpy(), bytes=True)
    return _encoded(Image.fromarray(colours[:, :, :3]))


def _encoded(image: Image.Image) -> str:
    if max(image.size) > LARGEST_PX:
        image.thumbnail((LARGEST_PX, LARGEST_PX))
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def flow_arrows(flow: Float[Tensor, "H W 2"], label: str, *, num: int = 7) -> Markup:
    """A flow as arrows, from places in the view to where their values come from.

    There are `num` along each side. The frame is the image; what an arrow leaves it for
    is padding.
    """
    grid = pixel_grid(*flow.shape[:2], like=flow)
    ys, xs = (
        torch.linspace(0, size - 1, num + 2)[1:-1].round().long()
        for size in flow.shape[:2]
    )
    tails, tips = ((g[ys][:, xs].reshape(-1, 2) + 1) * SIDE / 2 for g in (grid, flow))
    shafts, heads = [], []
    for tail, tip in zip(tails.tolist(), tips.tolist(), strict=True):
        shafts.append(f"M{tail[0]:.1f} {tail[1]:.1f}L{tip[0]:.1f} {tip[1]:.1f}")
        heads.append(_head(tail, tip))
    return Markup(
        '<svg class="flow" viewBox="-{4} -{4} {0} {0}" role="img" aria-label="{1}">'
        '<rect class="flow-frame" width="{2}" height="{2}"/>'
        '<path class="shaft" d="{3}"/><path class="head" d="{5}"/></svg>'
    ).format(SIDE + 2 * MARGIN, label, SIDE, "".join(shafts), MARGIN, "".join(heads))


def _head(tail: list[float], tip: list[float]) -> str:
    """A triangle at the tip; a square dot where the arrow is too short for one."""
    dx, dy = tip[0] - tail[0], tip[1] - tail[1]
    length = (dx * dx + dy * dy) ** 0.5
    if length < HEAD:
        return f"M{tip[0] - 0.6:.1f} {tip[1] - 0.6:.1f}h1.2v1.2h-1.2z"
    ux, uy = dx / length * HEAD, dy / length * HEAD
    back_x, back_y = tip[0] - 1.4 * ux, tip[1] - 1.4 * uy
    return (
        f"M{tip[0]:.1f} {tip[1]:.1f}L{back_x - 0.8 * uy:.1f} {back_y + 0.8 * ux:.1f}"
        f"L{back_x + 0.8 * uy:.1f} {back_y - 0.8 * ux:.1f}z"
    )
