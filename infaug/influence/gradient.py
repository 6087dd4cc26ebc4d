"""Gradients of the cross-entropy in the head [W b], in closed form.

With logits = [W b] h1 the gradient of one sample is an outer product, (p - y) h1^T, so
nothing here runs backward through the head: probabilities and features are enough.
"""

import torch
from jaxtyping import Float
from torch import Tensor


def with_bias(h: Float[Tensor, "N D"]) -> Float[Tensor, "N D1"]:
    """Features with a one appended, h1 = [h; 1], so that W and b are one array.

    >>> with_bias(torch.tensor([[2.0, 3.0]]))
    tensor([[2., 3., 1.]])
    """
    return torch.cat([h, torch.ones_like(h[:, :1])], dim=1)


def head_gradients(
    probs: Float[Tensor, "N Y"], y: Float[Tensor, "N Y"], h1: Float[Tensor, "N D1"]
) -> Float[Tensor, "N Y D1"]:
    """Gradient of each sample's own loss in the head: g(z) = (p - y) h1^T.

    One sample each, not divided by N; nats per unit of head weight. `y` may be soft,
    its rows must sum to one. For inspection: the sums below never build this array.
    """
    return (probs - y)[:, :, None] * h1[:, None, :]


def mean_head_gradient(
    probs: Float[Tensor, "M Y"],
    y: Float[Tensor, "M Y"],
    h1: Float[Tensor, "M D1"],
    weights: Float[Tensor, "M"] | None = None,
) -> Float[Tensor, "Y D1"]:
    """Gradient of the mean loss in the head: sum of w g(z) over sum of w.

    Without weights the mean over M; over the influence split this is grad L_val, the
    right-hand side of s_val. Nats per unit of head weight. Summed in float32 or wider.
    Its class rows sum to zero, because the rows of p and of y each sum to one.
    """
    if weights is None:
        dtype = torch.promote_types(h1.dtype, torch.float32)
        return (probs - y).to(dtype).T @ h1.to(dtype) / len(h1)
    total, weight = head_gradient_sum(probs, y, h1, weights)
    return total / weight


def head_gradient_sum(
    probs: Float[Tensor, "M Y"],
    y: Float[Tensor, "M Y"],
    h1: Float[Tensor, "M D1"],
    weights: Float[Tensor, "M"],
) -> tuple[Float[Tensor, "Y D1"], Float[Tensor, ""]]:
    """The two sums of `mean_head_gradient`: w g(z), and w. Those of parts add up."""
    dtype = torch.promote_types(h1.dtype, torch.float32)
    residuals, weights = (probs - y).to(dtype), weights.to(dtype)
    return (weights[:, None] * residuals).T @ h1.to(dtype), weights.sum()


def gradient_norm(
    probs: Float[Tensor, "N Y"], y: Float[Tensor, "N Y"], h1: Float[Tensor, "N D1"]
) -> Float[Tensor, "N"]:
    """Frobenius norm of each sample's head gradient: |g(z)| = |p - y| |h1|.

    Nats per unit of head weight. Differentiable in `probs` and `h1`; where p = y the
    gradient of |p - y| is taken to be zero, as `vector_norm` does.
    """
    residual = torch.linalg.vector_norm(probs - y, dim=1)
    return residual * torch.linalg.vector_norm(h1, dim=1)
