"""Figure 4 of the ICLR 2019 submission: an image on the way from one tau to another."""

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from infaug.config import EstimatorConfig
from infaug.data.dataset import to_float
from infaug.data.problem import load_splits
from infaug.estimate.learned_transform import LearnedTransform
from infaug.randomness import Draws
from infaug.record.folder import RunFolder
from infaug.report.figures import FLOW_COLOUR, plot_flow
from infaug.report.views import learned_rows, load_transform, show_image
from infaug.transform.fields import Fields, apply_fields, recolour
from infaug.transform.spatial import flow_of, warp

NUM_TAUS = 10


def draw_interpolations(run: Path) -> list[Path]:
    """One PNG for every learned row of a finished run; the files written.

    The first training image passes through G at ten taus on the way from one draw of
    E(x) + noise to another. Rows are the image, the flow, the warped image, the change
    of appearance, and the final image.
    """
    folder = RunFolder(run)
    config = folder.config()
    splits = load_splits(config.data)
    image = to_float(splits.train.select(torch.arange(1)).images)[0]
    drawn = []
    for row, state in learned_rows(folder, config):
        transform = load_transform(state, splits, config)
        path = run / f"interpolation-{row.name}.png"
        taus = taus_between(transform, image, config.estimator)
        draw_interpolation(transform, image, taus, path, title=row.name)
        drawn.append(path)
    return drawn


@torch.no_grad()
def taus_between(
    transform: LearnedTransform, image: Float[Tensor, "C H W"], config: EstimatorConfig
) -> Float[Tensor, "K T"]:
    """Taus from one draw of E(x) + noise to another."""
    tau = transform.estimator(image[None])[0]
    draws = Draws.of_size(2, 0, "interpolation")
    start, end = config.tau_noise * draws.normal(transform.config.tau_size)
    return interpolate(tau, start, end)


def interpolate(
    centre: Float[Tensor, "T"],
    start: Float[Tensor, "T"],
    end: Float[Tensor, "T"],
    num: int = NUM_TAUS,
) -> Float[Tensor, "num T"]:
    """Taus from centre + start to centre + end, on an arc: cos(t) start + sin(t) end.

    Differs from the paper, which goes straight. If start and end are independent
    Gaussian noise, so is every point of the arc, while the middle of the straight line
    is shorter by a factor 0.71; and G, calibrated on random tau, saturates near zero.

    >>> zero, one = torch.zeros(2), torch.eye(2)
    >>> interpolate(zero, one[0], one[1], 3).square().sum(dim=1).round().tolist()
    [1.0, 1.0, 1.0]
    """
    angle = torch.linspace(0, torch.pi / 2, num)[:, None]
    return centre + angle.cos() * start + angle.sin() * end


@dataclass(frozen=True, eq=False)
class Steps:
    """One image at each of K taus."""

    fields: Fields
    flow: Float[Tensor, "K H W 2"]
    warped: Float[Tensor, "K C H W"]
    change: Float[Tensor, "K C H W"]
    """What the appearance model adds to the warped image."""
    final: Float[Tensor, "K C H W"]


@torch.no_grad()
def steps_between(
    transform: LearnedTransform,
    image: Float[Tensor, "C H W"],
    taus: Float[Tensor, "K T"],
) -> Steps:
    """What each tau makes of an image."""
    fields = transform.bounded(transform.generator.unbounded(taus))
    x = image.expand(len(taus), *image.shape)
    padding = transform.config.padding
    flow = flow_of(fields.matrix, fields.offset)
    warped = warp(x, flow, padding=padding)
    final = apply_fields(x, fields, padding=padding)
    return Steps(fields, flow, warped, appearance(warped, fields), final)


def draw_interpolation(
    transform: LearnedTransform,
    image: Float[Tensor, "C H W"],
    taus: Float[Tensor, "K T"],
    path: Path,
    *,
    title: str,
) -> None:
    """Write the figure for one image: a column for each tau.

    An arrow of the flow begins at the place in the output and ends where that place
    takes its value from. Appearance is (c_w * x + c_b) of the warped image: blue
    darkens, white changes nothing, red lightens; its mean over the channels.
    """
    steps = steps_between(transform, image, taus)
    figure = Figure(figsize=(1.1 + len(taus), 5.6), layout="compressed")
    FigureCanvasAgg(figure)
    axes = figure.subplots(5, len(taus), squeeze=False)
    names = ("image", "flow", "warped", "appearance", "final")
    for name, axis in zip(names, axes[:, 0], strict=True):
        axis.text(-0.12, 0.5, name, ha="right", va="center", transform=axis.transAxes)
    reach = max(float(steps.change.abs().max()), 1e-6)
    for k, (top, arrows, middle, colour, bottom) in enumerate(axes.T):
        show_image(top, image)
        plot_flow(steps.flow[k], arrows, colour=FLOW_COLOUR)
        show_image(middle, steps.warped[k])
        mean = steps.change[k].mean(dim=0)
        colour.imshow(mean.numpy(), cmap="RdBu_r", vmin=-reach, vmax=reach)
        show_image(bottom, steps.final[k])
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
        for spine in axis.spines.values():
            spine.set(color="#bbbbbb", linewidth=0.6)
    figure.suptitle(f"{title}: one image, from one draw of E(x) + noise to another")
    figure.savefig(path, dpi=110)


def appearance(
    warped: Float[Tensor, "B C H W"], fields: Fields
) -> Float[Tensor, "B C H W"]:
    """What the appearance model adds to the warped image: c_w * x + c_b, unclamped."""
    return recolour(warped, fields.filter, fields.bias) - warped
