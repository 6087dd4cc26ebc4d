"""Changes that every image has at random and that say nothing about its class."""

from dataclasses import dataclass
from typing import Literal

from infaug.config.check import require

NuisanceKind = Literal["none", "rotation", "background", "dilation"]


@dataclass(frozen=True, kw_only=True)
class NuisanceConfig:
    """A random change of every image of every split, drawn once, when it is made.

    As Zhou et al. (ICLR 2022) do with Kuzushiji-49, so that what F must ignore is known
    and can be drawn again. The ranges are our choice.
    """

    kind: NuisanceKind = "none"
    """`rotation` about the centre; `background`: black gives way to a grey; `dilation`:
    strokes grow or shrink."""
    rotate_deg: float = 180.0
    """rotation: uniform within plus and minus this, degrees."""
    background: float = 0.6
    """background: grey uniform between 0 and this, in units of [0, 1]."""
    dilate_px: int = 3
    """dilation: pixels by which strokes grow at most; whole numbers, uniform."""
    erode_px: int = 1
    """dilation: pixels by which strokes shrink at most."""

    def __post_init__(self):
        degrees, grey = self.rotate_deg, self.background
        inside = 0 <= degrees <= 180
        require(inside, "data.nuisance.rotate_deg", "must lie in 0..180", degrees)
        require(0 <= grey <= 1, "data.nuisance.background", "must lie in 0..1", grey)
        for name in ("dilate_px", "erode_px"):
            value = getattr(self, name)
            require(value >= 0, f"data.nuisance.{name}", "must be >= 0", value)
