"""The convolutions of E, G and the critics for any image size.

Lee et al. (ICLR 2019 submission, appendix A) give 28x28 (two halvings to 7x7, widths
16 32 64) and 32x32 (three halvings to 4x4, widths 16 32 64 128). The rule that has both
as cases: halve, rounding up, until no side exceeds 7; widths double from 16 up to 128.

Above 64 px the table is that of the CVPR 2020 paper for 224x224, as reported second
hand: a 7x7 kernel first, then halvings to 4x4, widths 16 16 32 32 64 64 128.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

SMALLEST = 7
SMALLEST_OF_LARGE = 4
LARGE = 64


@dataclass(frozen=True)
class LayerTable:
    """Spatial sizes and widths of a convolutional stack, from image to bottom.

    `sizes[0]` is the image; `sizes[i]` follows the i-th layer of stride 2. `widths[i]`
    is the number of channels at `sizes[i]`. The layer of stride 1 at `sizes[0]` has
    kernels of `first_kernel`, the others of 4.
    """

    sizes: tuple[tuple[int, int], ...]
    widths: tuple[int, ...]
    first_kernel: int = 4

    @property
    def bottom_features(self) -> int:
        """Values at the bottom, flattened."""
        height, width = self.sizes[-1]
        return height * width * self.widths[-1]

    @property
    def of_fields(self) -> "LayerTable":
        """The part from which G makes fields: none larger than 64 px; rest upsampled.

        >>> layer_table(224, 224).of_fields.sizes[0]
        (56, 56)
        """
        skipped = sum(max(size) > LARGE for size in self.sizes)
        return replace(self, sizes=self.sizes[skipped:], widths=self.widths[skipped:])


def layer_table(height: int, width: int) -> LayerTable:
    """The table for images of `height` x `width` pixels.

    >>> layer_table(28, 28).sizes, layer_table(28, 28).widths
    (((28, 28), (14, 14), (7, 7)), (16, 32, 64))
    >>> layer_table(32, 32).bottom_features
    2048
    >>> layer_table(224, 224).widths, layer_table(224, 224).sizes[-1]
    ((16, 16, 32, 32, 64, 64, 128), (4, 4))
    """
    is_large = max(height, width) > LARGE
    smallest = SMALLEST_OF_LARGE if is_large else SMALLEST
    sizes = [(height, width)]
    while max(sizes[-1]) > smallest:
        sizes.append((-(-sizes[-1][0] // 2), -(-sizes[-1][1] // 2)))
    layers_a_width = 2 if is_large else 1
    widths = (min(16 * 2 ** (i // layers_a_width), 128) for i in range(len(sizes)))
    return LayerTable(tuple(sizes), tuple(widths), 7 if is_large else 4)


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
