"""Gradients in the head [W b] in closed form, and influence: the sign is fixed here.

With logits = [W b] h1 the gradient of one sample is an outer product, (p - y) h1^T, so
nothing here runs backward through the head: probabilities and features are enough.

Negative influence is helpful: the validation loss falls. Whoever learns to augment
minimises these scores. "Maximise the influence" in the papers can only mean the
benefit, -I; retraining confirms it (`validate.py`).
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


def mean_head_gradient(
    probs: Float[Tensor, "M Y"], y: Float[Tensor, "M Y"], h1: Float[Tensor, "M D1"]
) -> Float[Tensor, "Y D1"]:
    """Gradient of the mean loss in the head: the mean of g(z) over M.

    Over the influence split this is grad L_val, the right-hand side of s_val. Nats per
    unit of head weight. Summed in float32 or wider. Its class rows sum to zero, because
    the rows of p and of y each sum to one.
    """
    return head_gradient_sum(probs, y, h1) / len(h1)


def head_gradient_sum(
    probs: Float[Tensor, "M Y"], y: Float[Tensor, "M Y"], h1: Float[Tensor, "M D1"]
) -> Float[Tensor, "Y D1"]:
    """The sum of g(z), of which `mean_head_gradient` is the mean: parts add up."""
    dtype = torch.promote_types(h1.dtype, torch.float32)
    return (probs - y).to(dtype).T @ h1.to(dtype)


def gradient_norm(
    probs: Float[Tensor, "N Y"], y: Float[Tensor, "N Y"], h1: Float[Tensor, "N D1"]
) -> Float[Tensor, "N"]:
    """Frobenius norm of each sample's head gradient: |g(z)| = |p - y| |h1|.

    Nats per unit of head weight. Differentiable in `probs` and `h1`; where p = y the
    gradient of |p - y| is taken to be zero, as `vector_norm` does.
    """
    residual = torch.linalg.vector_norm(probs - y, dim=1)
    return residual * torch.linalg.vector_norm(h1, dim=1)


def upweight_influence(
    s_val: Float[Tensor, "Y D1"],
    probs: Float[Tensor, "B Y"],
    y: Float[Tensor, "B Y"],
    h1: Float[Tensor, "B D1"],
) -> Float[Tensor, "B"]:
    """Slope of the validation loss in the weight of each training sample.

    I_up(z) = -<S, g(z)> = -(p - y)^T S h1, where S = (H + damping I)^-1 grad L_val.
    Adding z to the mean training loss with weight 1/N changes L_val by I_up / N to
    first order; nats per unit of weight, negative is helpful. S is a constant;
    gradients flow to `probs` and `h1`, hence to x_aug. Computed in the dtype of S, also
    inside autocast.

    Source: Koh & Liang 2017, eq. 2; the ICLR 2019 submission "Learning to Augment
    Influential Data", eq. 14, restricted to the last layer.
    """
    s_val = s_val.detach()
    residuals, h1 = (probs - y).to(s_val.dtype), h1.to(s_val.dtype)
    with torch.autocast(s_val.device.type, enabled=False):
        return -((residuals @ s_val) * h1).sum(dim=1)


def replace_influence(
    s_val: Float[Tensor, "Y D1"],
    y: Float[Tensor, "B Y"],
    probs: Float[Tensor, "B Y"],
    h1: Float[Tensor, "B D1"],
    probs_aug: Float[Tensor, "B Y"],
    h1_aug: Float[Tensor, "B D1"],
) -> Float[Tensor, "B"]:
    """Slope of the validation loss as each sample gives way to its augmented image.

    I_aug = I_up(z_aug) - I_up(z); both carry the label y. Replacing z among N samples
    changes L_val by I_aug / N to first order (nats); negative is helpful. The second
    term is a constant for whoever learns x_aug.

    Source: Koh & Liang 2017, section 2.2; the ICLR 2019 submission, eqs. 18-19; Lee et
    al., CVPR 2020.
    """
    gained = upweight_influence(s_val, probs_aug, y, h1_aug)
    return gained - upweight_influence(s_val, probs, y, h1)


def relative_influence(
    s_val: Float[Tensor, "Y D1"],
    probs: Float[Tensor, "B Y"],
    y: Float[Tensor, "B Y"],
    h1: Float[Tensor, "B D1"],
    *,
    norm_floor: float,
) -> Float[Tensor, "B"]:
    """Influence per unit of the sample's own gradient: I_up / (|g(z)| + norm_floor).

    Bounded by |S|, while I_up grows with |p - y| and |h1| and so rewards whatever is
    hardest. Units of S; negative is helpful. Differs from the papers, which use I_up:
    an unconstrained transformation that minimises I_up loses the class.
    `norm_floor`, nats per unit of head weight, keeps samples with p = y finite.
    """
    raw = upweight_influence(s_val, probs, y, h1)
    return raw / (gradient_norm(probs, y, h1).to(raw.dtype) + norm_floor)
