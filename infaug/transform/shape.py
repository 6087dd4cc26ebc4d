"""The layer table of E, G and the critics for any image size.

Lee et al. (ICLR 2019 submission, appendix A) give 28x28 (two halvings to 7x7, widths
16 32 64) and 32x32 (three halvings to 4x4, widths 16 32 64 128). The rule that has both
as cases: halve, rounding up, until no side exceeds 7; widths double from 16 up to 128.
"""

from dataclasses import dataclass

SMALLEST = 7


@dataclass(frozen=True)
class LayerTable:
    """Spatial sizes and widths of a convolutional stack, from image to bottom.

    `sizes[0]` is the image; `sizes[i]` follows the i-th layer of stride 2. `widths[i]`
    is the number of channels at `sizes[i]`.
    """

    sizes: tuple[tuple[int, int], ...]
    widths: tuple[int, ...]

    @property
    def bottom_features(self) -> int:
        """Values at the bottom, flattened."""
        height, width = self.sizes[-1]
        return height * width * self.widths[-1]


def layer_table(height: int, width: int) -> LayerTable:
    """The table for images of `height` x `width` pixels.

    >>> layer_table(28, 28).sizes, layer_table(28, 28).widths
    (((28, 28), (14, 14), (7, 7)), (16, 32, 64))
    >>> layer_table(32, 32).bottom_features
    2048
    """
    sizes = [(height, width)]
    while max(sizes[-1]) > SMALLEST:
        sizes.append((-(-sizes[-1][0] // 2), -(-sizes[-1][1] // 2)))
    widths = tuple(min(16 * 2**i, 128) for i in range(len(sizes)))
    return LayerTable(tuple(sizes), widths)
