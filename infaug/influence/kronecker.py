"""A Kronecker-factored approximation of the Hessian, inverted: a preconditioner.

H is a mean of (diag p - p p^T) x h1 h1^T over samples. Were the two factors independent
over samples, H would be the product of their means, and its inverse two small ones.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class FactorSums:
    """Sums over samples; those of shards add up to the whole."""

    classes: Float[Tensor, "Y Y"]
    """Of |h1|^2 (diag p - p p^T)."""
    features: Float[Tensor, "D1 D1"]
    """Of (1 - |p|^2) h1 h1^T; 1 - |p|^2 is the trace of the class block."""
    trace: float
    """Of (1 - |p|^2) |h1|^2: the trace of H, times `num_samples`."""
    num_samples: int

    def __add__(self, other: "FactorSums") -> "FactorSums":
        return FactorSums(
            self.classes + other.classes,
            self.features + other.features,
            self.trace + other.trace,
            self.num_samples + other.num_samples,
        )


def factor_sums(h1: Float[Tensor, "N D1"], probs: Float[Tensor, "N Y"]) -> FactorSums:
    """The sums, in the wider of float32 and h1's dtype.

    Class blocks count by |h1|^2 and features by 1 - |p|^2: the product then has the
    same partial traces as H, where confident samples would else count like any other.
    """
    dtype = torch.promote_types(h1.dtype, torch.float32)
    h1, probs = h1.to(dtype), probs.to(dtype)
    doubt = (1 - probs.square().sum(dim=1)).clamp(min=0)
    length = h1.square().sum(dim=1)
    weighted = length[:, None] * probs
    return FactorSums(
        classes=weighted.sum(dim=0).diag() - weighted.T @ probs,
        features=(doubt[:, None] * h1).T @ h1,
        trace=float((doubt * length).sum(dtype=torch.float64)),
        num_samples=len(h1),
    )


class KroneckerInverse:
    """(B x A + damping I)^-1, multiplied through the eigenvectors of B and A.

    B is the class factor, A the feature factor, scaled so that B x A has the trace of
    H. Symmetric and positive definite: eigenvalues that rounding made negative count as
    zero. The vector of ones stays an eigenvector, so class rows of a product sum to
    zero where those of its argument do.

    Source: Martens & Grosse 2015, section 4.2, for one layer, damped exactly.

    Raises:
        ValueError: if the sums are not finite.
    """

    def __init__(self, sums: FactorSums, damping: float):
        if not math.isfinite(sums.trace):
            raise ValueError(
                f"the Hessian's trace is {sums.trace}: look for NaN or infinity in the "
                "features or probabilities behind the operator"
            )
        scale = sums.trace * sums.num_samples
        values_b, self.classes = torch.linalg.eigh(sums.classes)
        values_a, self.features = torch.linalg.eigh(sums.features)
        spread = values_b.clamp(min=0)[:, None] * values_a.clamp(min=0)
        self.values = 1 / (spread / (scale if scale > 0 else 1.0) + damping)

    def __matmul__(self, v: Float[Tensor, "*R Y D1"]) -> Float[Tensor, "*R Y D1"]:
        """The approximate solution for every array of `v`."""
        classes, features = self.classes.to(v.dtype), self.features.to(v.dtype)
        inside = (classes.mT @ v @ features) * self.values.to(v.dtype)
        return classes @ inside @ features.mT
