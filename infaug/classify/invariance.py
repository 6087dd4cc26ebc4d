"""How much F's predictions change when nothing about the class does."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor
from torch.nn import functional as F


def expected_divergence(
    logits_of: Callable[[Float[Tensor, "B C H W"]], Float[Tensor, "B Y"]],
    images: UInt8[Tensor, "N C H W"],
    changed: Sequence[UInt8[Tensor, "N C H W"]],
    labels: Int64[Tensor, "N"],
    *,
    dtype: torch.dtype = torch.float32,
    batch_size: int = 500,
) -> tuple[float | None, ...]:
    """The eKLD of each class in nats: mean of KL(p(. | x) || p(. | T(x))).

    Zhou et al., "Do Deep Networks Transfer Invariances Across Classes?" (ICLR 2022,
    section 2.2). 0 if F ignores T; there is no upper bound. None for a class without
    images. `logits_of` must be in evaluation mode.
    """

    @torch.no_grad()
    def log_probs(x: Tensor) -> Tensor:
        parts = [
            logits_of((part.float() / 255).to(dtype)) for part in x.split(batch_size)
        ]
        return F.log_softmax(torch.cat(parts).double(), dim=1)

    before = log_probs(images)
    num_classes = before.shape[1]
    total = torch.stack([divergence(before, log_probs(x)) for x in changed]).mean(0)
    sums = total.new_zeros(num_classes).index_add(0, labels, total).tolist()
    nums = labels.bincount(minlength=num_classes).tolist()
    return tuple(s / n if n else None for s, n in zip(sums, nums, strict=True))


def divergence(
    log_p: Float[Tensor, "N Y"], log_q: Float[Tensor, "N Y"]
) -> Float[Tensor, "N"]:
    """KL(p || q) = sum_c p_c (log p_c - log q_c) of each row, in nats."""
    return F.kl_div(log_q, log_p, reduction="none", log_target=True).sum(dim=1)
