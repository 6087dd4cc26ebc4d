"""The convolutions that E and the critics begin with: image -> bottom of the table."""

import itertools
from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from infaug.transform.shape import LayerTable


def build_stack(channels: int, table: LayerTable) -> tuple[nn.Conv2d, nn.ModuleList]:
    """The layer of stride 1, and those of stride 2."""
    first = nn.Conv2d(channels, table.widths[0], table.first_kernel)
    pairs = itertools.pairwise(table.widths)
    return first, nn.ModuleList(nn.Conv2d(a, b, 4, stride=2) for a, b in pairs)


def descend_stack(
    x: Float[Tensor, "B C H W"],
    first: nn.Conv2d,
    down: nn.ModuleList,
    activation: Callable[[Tensor], Tensor],
) -> Float[Tensor, "B features"]:
    """Values at the bottom, flattened.

    Differs from the appendix: stride 1 is padded to "same", without which the table's
    sizes do not follow.
    """
    near, far = (first.kernel_size[0] - 1) // 2, first.kernel_size[0] // 2
    out = activation(first(F.pad(x, (near, far, near, far))))
    for layer in down:
        # Odd sides round up: pad one more on the far side.
        far_h, far_w = 1 + out.shape[2] % 2, 1 + out.shape[3] % 2
        out = activation(layer(F.pad(out, (1, far_w, 1, far_h))))
    return out.flatten(1)
