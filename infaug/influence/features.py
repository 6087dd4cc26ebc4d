"""What the head sees of a set of images, ready for a Hessian.

A Hessian must belong to one function: everything random or dependent on the batch is
off, and arithmetic is at least float32.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from infaug.influence.score import with_bias
from infaug.types import Classifier


# inference_mode would forbid these tensors in a later backward pass.
@torch.no_grad()
def head_inputs(
    classifier: Classifier, x: Float[Tensor, "N C H W"], *, batch_size: int
) -> tuple[Float[Tensor, "N D1"], Float[Tensor, "N Y"]]:
    """Features with a one appended, and probabilities, of every image.

    Computed without autocast in the classifier's own dtype and returned in the wider of
    it and float32, on the classifier's device; the images may be elsewhere. Equal
    batch sizes give equal bytes.

    Raises:
        ValueError: if any part of the classifier is in training mode.
    """
    refuse_training_mode(classifier)
    weight = classifier.head.weight
    dtype = torch.promote_types(weight.dtype, torch.float32)
    all_h1, all_probs = [], []
    with torch.autocast(weight.device.type, enabled=False):
        for chunk in x.split(batch_size):
            h = classifier.features(chunk.to(weight.device, weight.dtype))
            all_h1.append(with_bias(h.to(dtype)))
            all_probs.append(classifier.head(h).to(dtype).softmax(dim=1))
    return torch.cat(all_h1), torch.cat(all_probs)


def check_deterministic(classifier: Classifier, x: Float[Tensor, "B C H W"]) -> None:
    """Refuse a classifier of which two passes over `x` differ in any byte.

    Raises:
        ValueError: if they differ, or the classifier is in training mode.
    """
    first, second = (head_inputs(classifier, x, batch_size=len(x)) for _ in range(2))
    for a, b in zip(first, second, strict=True):
        if not torch.equal(a, b):
            raise ValueError(
                "two passes over the same images differ (by up to "
                f"{float((a - b).abs().max()):.1e}): dropout, batch statistics and "
                "random augmentation must be off behind a Hessian"
            )


def refuse_training_mode(classifier: Classifier | nn.Module) -> None:
    """Refuse a classifier of which any part is in training mode.

    Raises:
        ValueError: naming the parts that are not.
    """
    if not isinstance(classifier, nn.Module):
        return
    training = [
        name or "itself" for name, m in classifier.named_modules() if m.training
    ]
    if training:
        raise ValueError(
            f"the classifier is in training mode ({', '.join(training[:3])}): call "
            ".eval() first, dropout and batch statistics must be off behind a Hessian"
        )
