"""G: what a transformation may at most do."""

from dataclasses import dataclass
from typing import Literal

from infaug.config.check import require


@dataclass(frozen=True, kw_only=True)
class TransformConfig:
    """G: what a transformation may at most do."""

    tau_size: int = 128
    """Length of tau."""
    matrix_strength: float = 0.8
    """Bound of each entry of the local 2x2 matrices A."""
    offset_strength: float = 0.25
    """Bound of the local offsets b, in half image sides."""
    filter_strength: float = 0.75
    """Bound of the entries of the colour filter c_w: contrast can fall to a quarter."""
    bias_strength: float = 0.6
    """Bound of the colour bias c_b, in units of the value range."""
    flow_bound: float | None = 0.95
    """Largest stretch of the displacement, per unit of distance: below 1 a flow cannot
    fold and has an inverse. None: unbounded."""
    initial_spread: float = 0.5
    """Standard deviation of the initial fields over random tau, before tanh."""
    pooling: Literal["local", "global", "both"] = "global"
    """Average-pooled fields, their global mean (an affine map), or the mean of both."""
    padding: Literal["zeros", "border", "reflection"] = "zeros"
    """What lies outside the image."""

    def __post_init__(self):
        require(self.tau_size >= 1, "transform.tau_size", "must be >= 1", self.tau_size)
        for name in ("matrix", "offset", "filter", "bias"):
            value = getattr(self, f"{name}_strength")
            require(value >= 0, f"transform.{name}_strength", "must be >= 0", value)
        bound = self.flow_bound
        if bound is not None:
            require(bound > 0, "transform.flow_bound", "must be > 0", bound)
