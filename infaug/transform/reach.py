"""How far G's flows reach, over random tau, in the affine ranges it was shown."""

import torch
from jaxtyping import Float
from torch import Tensor

from infaug.config import AffineRanges
from infaug.randomness import Draws
from infaug.transform.affine_flows import AffineParameters, decompose, fit_affine
from infaug.transform.apply import apply_fields
from infaug.transform.generator import Generator
from infaug.transform.objective import squared_error
from infaug.transform.spatial import flow_of, pixel_grid

NAMES = ("rotation", "shear", "scale_x", "scale_y", "translation_x", "translation_y")
QUANTILES = (0.05, 0.95)
BEYOND = 0.1


@torch.no_grad()
def measure_reach(
    generator: Generator,
    x: Float[Tensor, "B C H W"],
    draws: Draws,
    ranges: AffineRanges,
) -> dict[str, float]:
    """What random tau does to these images, one tau each.

    Returns:
        For each affine parameter that has a range its 5 % and 95 % quantile, as
        `NAME_low` and `NAME_high`, where -1 and 1 are the ends of its range; `inside`,
        the share of flows all of whose parameters that have one lie in [-1.1, 1.1];
        `flow_mse` and `image_mse` from the identity. A flow that is not affine counts
        as the closest affine map.
    """
    config = generator.config
    fields = generator(draws.uniform(-1, 1, config.tau_size).to(x.dtype))
    flow = flow_of(fields.matrix, fields.offset)
    x_aug = apply_fields(x, fields, padding=config.padding)
    where = positions(decompose(fit_affine(flow.double()), *flow.shape[1:3]), ranges)
    found: dict[str, float] = {}
    is_inside = torch.ones(len(x), dtype=torch.bool, device=x.device)
    for name, places in where.items():
        low, high = places.quantile(places.new_tensor(QUANTILES)).tolist()
        found |= {f"{name}_low": low, f"{name}_high": high}
        is_inside &= places.abs() <= 1 + BEYOND
    grid = pixel_grid(*flow.shape[1:3], like=flow).expand_as(flow)
    return found | {
        "inside": float(is_inside.double().mean()),
        "flow_mse": float(squared_error(flow, grid).mean()),
        "image_mse": float(squared_error(x_aug, x).mean()),
    }


def positions(
    parameters: AffineParameters, ranges: AffineRanges
) -> dict[str, Float[Tensor, "B"]]:
    """Where each parameter lies in its range: -1 and 1 are the ends, 0 the middle.

    Scales are placed by their logarithm, as they are drawn; mirroring counts as 1e-3. A
    range that is one number has no places: its parameter is left out.
    """
    scale = torch.tensor(ranges.scale, dtype=torch.float64).log()
    middle, half = scale.mean(), float(scale[1] - scale[0]) / 2
    values = (
        parameters.rotation_deg,
        parameters.shear_deg,
        *(parameters.scale.clamp(min=1e-3).log() - middle).unbind(1),
        *parameters.translation.unbind(1),
    )
    shift = ranges.translate
    ends = (ranges.degrees, ranges.shear_deg, half, half, shift, shift)
    return {
        name: value / end
        for name, value, end in zip(NAMES, values, ends, strict=True)
        if end > 0
    }
