"""One drawn view of a batch: what happens to its pixels, and where they go."""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from infaug.estimate.chance import Chance
from infaug.estimate.learned_transform import LearnedTransform
from infaug.transform.apply import apply_fields
from infaug.transform.fields import Fields
from infaug.transform.spatial import flow_of, pixel_grid


@dataclass(frozen=True, eq=False)
class View:
    """Fields of each image, at the size of the images."""

    fields: Fields
    changed: Bool[Tensor, "B"] | None
    """The images that are changed; None: all."""
    padding: str
    lead: tuple[int, ...]
    """Shape of the batch as it was given: () for a single image."""

    @property
    def size(self) -> tuple[int, int]:
        """(H, W)."""
        height, width = self.fields.matrix.shape[2:]
        return height, width

    @cached_property
    def flow(self) -> Float[Tensor, "B H W 2"]:
        """Where each output pixel takes its value from; identity if unchanged."""
        flow = flow_of(self.fields.matrix, self.fields.offset)
        if self.changed is None:
            return flow
        grid = pixel_grid(*self.size, like=flow)
        return torch.where(self.changed[:, None, None, None], flow, grid)

    def render(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """The images warped and recoloured; the unchanged ones as they are."""
        x_aug = apply_fields(x, self.fields, padding=self.padding)
        if self.changed is None:
            return x_aug
        return torch.where(self.changed[:, None, None, None], x_aug, x)


@torch.no_grad()
def view_of(
    transform: LearnedTransform,
    x: Float[Tensor, "B C H W"],
    chance: Chance,
    strength: float,
    lead: tuple[int, ...],
) -> View:
    """The view that E and G make of these images for what was drawn.

    Images of another size than E and G were trained for are scaled to it for E. G's
    fields are made at the trained size and interpolated to that of the images before
    they are bounded, as G does itself above 64 px: so no flow folds at any size.
    """
    trained, size = transform.generator.size, tuple(x.shape[2:])
    seen = x if size == trained else _scaled(x, trained)
    unbounded = transform.unbounded(seen, chance.noise, chance.keep)
    if size != trained:
        unbounded = F.interpolate(unbounded, size, mode="bilinear")
    fields = transform.bounded(unbounded).scaled(x.new_tensor(strength))
    return View(fields, chance.changed, transform.config.padding, lead)


def _scaled(x: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(x, size, mode="bilinear", antialias=True)
