"""G: what a transformation may do at most, and its fit against critics."""

from dataclasses import dataclass, field
from typing import Literal

from infaug.config.fields import require, within


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
        within(
            self, "transform", tau_size=">= 1", matrix_strength=">= 0",
            offset_strength=">= 0", filter_strength=">= 0", bias_strength=">= 0",
            flow_bound="> 0",
        )  # fmt: skip


Fit = Literal["none", "wgan_gp", "ragan"]


@dataclass(frozen=True, kw_only=True)
class AffineRanges:
    """Ranges of the affine flows that the flow critic takes for real.

    Wider than the base augmentation's (20, 0.075, 0.85-1.15, 11), or learning could
    add nothing to it, and within what G's default strengths can make: an offset of at
    most 0.25 half sides is a translation of at most 0.125. A range that is zero, or a
    scale of (1, 1), leaves that change out of the real flows.
    """

    degrees: float = 30.0
    """Rotation is uniform in +- this, degrees."""
    translate: float = 0.1
    """Translation along x and y, each uniform in +- this share of the side."""
    scale: tuple[float, float] = (0.8, 1.25)
    """Least and largest scale along x and y, each log-uniform."""
    shear_deg: float = 15.0
    """Shear is uniform in +- this, degrees."""

    def __post_init__(self):
        ordered, rule = 0 < self.scale[0] <= self.scale[1], "must be 0 < low <= high"
        require(ordered, "adversarial.affine.scale", rule, self.scale)
        within(
            self, "adversarial.affine", degrees=">= 0", translate=">= 0",
            shear_deg="[0, 90)",
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class AdversarialConfig:
    """G fitted against critics, before E learns; one G for each seed."""

    fit: Fit = "none"
    """none: G begins at random; wgan_gp: critics on images and flows (ICLR 2019
    submission); ragan: critics on images and on F's features (CVPR 2020)."""
    start_share: float = 0.7
    """Where the fit begins: the flows' standard deviation over random tau, as a share
    of that of the real ones, whose mean and correlations they begin with."""
    steps: int = 300
    """Updates of G."""
    batch_size: int = 32
    """Images per update, over all workers."""
    critic_steps: int = 1
    """Updates of each critic before one of G."""
    critic_learning_rate: float = 1e-3
    """Of Adam, constant."""
    generator_learning_rate: float = 1e-4
    """Of Adam, at the start of a cosine schedule."""
    average: float = 0.98
    """Share of the averaged G that each update of G keeps; the fit ends with that
    average, since G itself circles around where it should be. 0: G itself."""
    betas: tuple[float, float] = (0.5, 0.9)
    """Of Adam, for G and critics; as in the papers."""
    gradient_penalty: float = 10.0
    """Weight of the critics' gradient penalty."""
    image_weight: float = 1.0
    """Weight of the image critic's score for G, where those of the others is 1."""
    flow_inverse_mse: float = 0.02
    """Weight of 1 / (flow MSE from the identity + floor) for G."""
    image_inverse_mse: float = 0.02
    """Weight of 1 / (image MSE from the original + floor) for G."""
    mse_floor: float = 0.01
    """Bounds the inverse by 1/floor; squared half sides, or squared values."""
    use_unlabelled: bool = True
    """Whether training images whose labels are not used are shown to G as well."""
    affine: AffineRanges = field(default_factory=AffineRanges)
    """The flows that are real."""

    def __post_init__(self):
        within(
            self, "adversarial", steps=">= 1", batch_size=">= 1", critic_steps=">= 1",
            start_share="> 0", critic_learning_rate="> 0",
            generator_learning_rate="> 0", mse_floor="> 0", gradient_penalty=">= 0",
            image_weight=">= 0", flow_inverse_mse=">= 0", image_inverse_mse=">= 0",
            average="[0, 1)", betas="[0, 1)",
        )  # fmt: skip
