"""s_val and how an augmented image is scored."""

from dataclasses import dataclass
from typing import Literal

from infaug.config.fields import require, within

Solver = Literal["auto", "dense", "cg", "pcg", "refined", "lissa", "gradient"]


@dataclass(frozen=True, kw_only=True)
class InfluenceConfig:
    """s_val and how an augmented image is scored."""

    damping: float = 1e-2
    """Added to the Hessian's diagonal; at least the head's weight decay."""
    solver: Solver = "auto"
    """`auto`: `refined` (bfloat16 products, float32 refinement) where the hardware has
    them, else `pcg`; `cg` and `dense` for comparison; `lissa` by minibatches;
    `gradient` leaves H out: S is the validation gradient."""
    rtol: float = 1e-3
    """Relative residual at which the solver stops."""
    max_products: int = 200
    """Hessian-vector products before it stops regardless, and says so."""
    objective: Literal["relative", "raw"] = "relative"
    """`relative` divides by the image's own gradient norm; `raw` rewards extremes."""
    norm_floor: float = 0.1
    """Added to the gradient norm before dividing, nats per unit of head weight."""
    memory: float = 0.0
    """Share of the last S that stays in the next: an average over refreshes."""
    focus: float = 0.0
    """Influence images weigh (1 - p_y)^focus: above 0, the hard ones drive S."""
    hessian_on: Literal["views", "originals"] = "views"
    """What the Hessian averages over: all F is trained on, or the originals only."""
    shards: int | None = None
    """Parts of the training set whose sums are added in order, so that S has the same
    bytes for any number of solver actors; None: 1, or 8 if refreshes overlap."""
    hessian_samples: int | None = 1250
    """Training images in the Hessian of a refresh, in all their views, drawn anew each
    time; 2,500 are forwarded if there are two views. Up to twice as many images are
    all used. None: always all. Measured by benchmarks/hessian_samples.py."""
    probe_every: int = 10
    """Refreshes from one full solution to the next, where images are sampled: metrics
    then hold `pearson_full`, the correlation of scores with it. 0: never, as where the
    training images are streamed."""

    def __post_init__(self):
        rule = "must be > 0: the softmax Hessian is singular"
        require(self.damping > 0, "influence.damping", rule, self.damping)
        within(
            self, "influence", rtol="(0, 1)", max_products=">= 1", shards=">= 1",
            hessian_samples=">= 1", probe_every=">= 0", norm_floor="> 0",
            memory="[0, 1)", focus=">= 0",
        )  # fmt: skip
