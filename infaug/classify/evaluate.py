"""Accuracy and loss of F on labelled images."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor
from torch.nn import functional as F

from infaug.world import World

BATCH_SIZE = 500
ALONE = World()


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
    batch_size: int = BATCH_SIZE,
    device: torch.device | None = None,
    world: World = ALONE,
) -> Evaluation:
    """Loss and accuracy of `logits_of`, which must be in evaluation mode.

    Sums of batches are carried in float64, added in order and divided once.

    Args:
        logits_of: F.
        images: of this process; the evaluation is of those of all processes.
        labels: theirs.
        dtype: of what `logits_of` is given.
        batch_size: images that go through F together.
        device: where F is; None: where the images are.
        world: who evaluates together.
    """
    device = device or images.device
    labels = labels.to(device)
    sums, hits = list[list[float]](), [labels[:0].bool()]
    with torch.no_grad():
        for start in range(0, len(images), batch_size):
            part = slice(start, start + batch_size)
            x, y = images[part].to(device), labels[part]
            logits = logits_of((x.float() / 255).to(dtype)).double()
            loss = F.cross_entropy(logits, y, reduction="sum")
            likeliest = logits.topk(min(5, logits.shape[1])).indices
            among = (likeliest == y[:, None]).sum()
            sums.append([float(loss), float(among), logits.shape[1]])
            hits.append(logits.argmax(dim=1) == y)
    gathered = torch.tensor(sums, dtype=torch.float64, device=device).view(-1, 3)
    losses, amongs, num_classes = world.gather(gathered).T.tolist()
    hit, labels = world.gather(torch.cat(hits)), world.gather(labels)
    num = len(labels)
    return Evaluation(
        loss=sum(losses) / num,
        accuracy=100 * int(hit.sum()) / num,
        top5=100 * int(sum(amongs)) / num,
        by_class=_by_class(hit, labels, int(max(num_classes))),
    )


def _by_class(
    hit: Bool[Tensor, "N"], labels: Int64[Tensor, "N"], num_classes: int
) -> tuple[float | None, ...]:
    """Percent of each class that is hit."""
    num = labels.bincount(minlength=num_classes).tolist()
    num_hit = labels[hit].bincount(minlength=num_classes).tolist()
    return tuple(100 * h / n if n else None for h, n in zip(num_hit, num, strict=True))
