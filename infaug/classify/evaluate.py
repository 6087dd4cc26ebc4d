"""Accuracy and loss of F on labelled images."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64, UInt8
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
    by_class: tuple[float | None, ...]
    """Top-1 of the images of each class; None where there are none."""

    @property
    def balanced(self) -> float:
        """Mean of `by_class` over the classes that have images.

        What top-1 would be if they all had as many.
        """
        found = [value for value in self.by_class if value is not None]
        return sum(found) / len(found)


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
    loss, among = 0.0, 0
    hits: list[Tensor] = []
    num_classes = 0
    with torch.no_grad():
        for start in range(0, len(images), batch_size):
            part = slice(start, start + batch_size)
            logits = logits_of((images[part].float() / 255).to(dtype)).double()
            loss += float(F.cross_entropy(logits, labels[part], reduction="sum"))
            hits.append(logits.argmax(dim=1) == labels[part])
            likeliest = logits.topk(min(5, logits.shape[1])).indices
            among += int((likeliest == labels[part, None]).sum())
            num_classes = logits.shape[1]
    num, hit = len(images), torch.cat(hits)
    return Evaluation(
        loss=loss / num,
        accuracy=100 * int(hit.sum()) / num,
        top5=100 * among / num,
        by_class=_by_class(hit, labels, num_classes),
    )


def _by_class(
    hit: Bool[Tensor, "N"], labels: Int64[Tensor, "N"], num_classes: int
) -> tuple[float | None, ...]:
    """Percent of each class that is hit."""
    num = labels.bincount(minlength=num_classes).tolist()
    num_hit = labels[hit].bincount(minlength=num_classes).tolist()
    return tuple(100 * h / n if n else None for h, n in zip(num_hit, num, strict=True))
