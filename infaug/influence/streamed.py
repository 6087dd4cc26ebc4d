"""The Hessian of samples that do not fit in memory."""

from collections.abc import Callable, Iterable

from jaxtyping import Float
from torch import Tensor

from infaug.influence.hessian import LastLayerHessian

Part = tuple[Tensor, Tensor] | tuple[Tensor, Tensor, Tensor]


class StreamedHessian:
    """`LastLayerHessian` of parts that are read again for every product.

    One part is held at a time. Several right-hand sides in one solve share each pass.

    Args:
        read: opens the stream from its beginning: parts (h1, probs) or (h1, probs,
            weights), the same ones in the same order every time.
        chunk_size: as in `LastLayerHessian`.

    Raises:
        ValueError: if the stream is empty, or a product meets another total weight than
            the first pass did.
    """

    def __init__(self, read: Callable[[], Iterable[Part]], *, chunk_size: int = 4096):
        self.read = read
        self.chunk_size = chunk_size
        self.total_weight = sum(part.total_weight for part in self._parts())
        if not self.total_weight:
            raise ValueError("the stream of features is empty: there is no Hessian")

    def __matmul__(self, v: Float[Tensor, "*R Y D1"]) -> Float[Tensor, "*R Y D1"]:
        """The product with every array of `v`: one pass over the stream."""
        return self.product_sum(v) / self.total_weight

    def product_sum(self, v: Float[Tensor, "*R Y D1"]) -> Float[Tensor, "*R Y D1"]:
        """The product before the division by `total_weight`."""
        total, weight = None, 0.0
        for part in self._parts():
            product = part.product_sum(v)
            total = product if total is None else total + product
            weight += part.total_weight
        if total is None or weight != self.total_weight:
            raise ValueError(
                f"the stream of features changed between two passes: total weight "
                f"{self.total_weight}, now {weight}; it must be read the same each time"
            )
        return total

    def _parts(self) -> Iterable[LastLayerHessian]:
        for h1, probs, *weights in self.read():
            yield LastLayerHessian(h1, probs, *weights, chunk_size=self.chunk_size)
