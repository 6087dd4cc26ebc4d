"""Accuracy and loss of F on labelled images."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Evaluation:
    """Mean cross-entropy (nats) and accuracies (percent) over a split."""

    loss: float
    accuracy: float
    """Top-1."""
    top5: float
    """The label is among the five likeliest; 100 with five classes or fewer."""


def evaluate(
    logits_of: Callable[[Float[Tensor, "B C H W"]], Float[Tensor, "B Y"]],
    images: UInt8[Tensor, "N C H W"],
    labels: Int64[Tensor, "N"],
    *,
    dtype: torch.dtype = torch.float32,
    batch_size: int = 500,
) -> Evaluation:
    """Loss and accuracy of `logits_of`, which must be in evaluation mode.

    Sums are carried in float64 and divided once.
    """
    loss, correct, among = 0.0, 0, 0
    with torch.no_grad():
        for start in range(0, len(images), batch_size):
            part = slice(start, start + batch_size)
            logits = logits_of((images[part].float() / 255).to(dtype)).double()
            loss += float(F.cross_entropy(logits, labels[part], reduction="sum"))
            correct += int((logits.argmax(dim=1) == labels[part]).sum())
            likeliest = logits.topk(min(5, logits.shape[1])).indices
            among += int((likeliest == labels[part, None]).sum())
    num = len(images)
    return Evaluation(loss / num, 100 * correct / num, 100 * among / num)
