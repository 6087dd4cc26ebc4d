"""The Hessian of the mean cross-entropy in any parameters of the network, by autograd.

For the last layer alone `LastLayerHessian` gives the same products, many times cheaper.
"""

from collections.abc import Mapping
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call, grad, jvp, vjp

from infaug.influence.features import refuse_training_mode

Curvature = Literal["hessian", "gauss_newton"]


class NetworkHessian:
    """H, or the Gauss-Newton matrix, of mean cross-entropy in the chosen parameters.

    H v is the derivative of the gradient along v; Gauss-Newton is the mean of
    J^T (diag p - p p^T) J v, J the Jacobian of the logits. H may have negative
    curvature, and `Damped` then makes no solver's operator of it; Gauss-Newton never
    has, and does not depend on labels. In the head alone the two are equal.

    Parameters are one row, [1, P], in the order of `named_parameters`: a head-shaped
    array to every solver. `flatten` and `unflatten` go between.

    Source: Pearlmutter 1994; Schraudolph 2002; for influence, Koh & Liang 2017.

    Args:
        network: x -> logits, in evaluation mode.
        x: images.
        y: labels, soft or hard.
        within: names that a chosen parameter's name begins with; "" chooses all.
        curvature: which of the two.
        chunk_size: images per pass, which bounds the memory.

    Raises:
        ValueError: if no parameter is chosen or any part is in training mode.
    """

    def __init__(
        self,
        network: nn.Module,
        x: Float[Tensor, "N *image"],
        y: Float[Tensor, "N Y"],
        *,
        within: tuple[str, ...] = ("",),
        curvature: Curvature = "gauss_newton",
        chunk_size: int = 256,
    ):
        refuse_training_mode(network)
        self.network, self.x, self.y = network, x, y
        self.chunk_size = chunk_size
        self.total_weight = float(len(x))
        state = {name: p.detach() for name, p in network.named_parameters()}
        self.chosen = {k: v for k, v in state.items() if k.startswith(within)}
        self.fixed = {k: v for k, v in state.items() if k not in self.chosen}
        self._product = {
            "hessian": self._hessian_product,
            "gauss_newton": self._gauss_newton_product,
        }[curvature]
        if not self.chosen:
            raise ValueError(
                f"no parameter's name begins with {within}; there are: "
                f"{', '.join(list(state)[:5])}, ..."
            )

    def flatten(self, tensors: Mapping[str, Tensor]) -> Float[Tensor, "1 P"]:
        """The chosen parameters' tensors as one row."""
        return torch.cat([tensors[name].flatten() for name in self.chosen])[None]

    def unflatten(self, row: Float[Tensor, "1 P"]) -> dict[str, Tensor]:
        """The reverse."""
        sizes = [p.numel() for p in self.chosen.values()]
        parts = zip(self.chosen.items(), row[0].split(sizes), strict=True)
        return {name: part.view_as(p) for (name, p), part in parts}

    def __matmul__(self, v: Float[Tensor, "*R 1 P"]) -> Float[Tensor, "*R 1 P"]:
        """The product with every row of `v`, in the parameters' dtype or wider."""
        return self.product_sum(v) / self.total_weight

    def product_sum(self, v: Float[Tensor, "*R 1 P"]) -> Float[Tensor, "*R 1 P"]:
        """The product before the division by N: what shards add up."""
        rows = v.reshape(-1, 1, v.shape[-1])
        return torch.stack([self._row_sum(row) for row in rows]).view(v.shape)

    def _row_sum(self, row: Tensor) -> Tensor:
        dtype = next(iter(self.chosen.values())).dtype
        along, total = self.unflatten(row.to(dtype)), torch.zeros_like(row)
        chunks = zip(
            self.x.split(self.chunk_size), self.y.split(self.chunk_size), strict=True
        )
        for x, y in chunks:
            total += self.flatten(self._product(along, x, y)).to(row.dtype)
        return total

    def _logits(self, chosen: dict[str, Tensor], x: Tensor) -> Tensor:
        return functional_call(self.network, chosen | self.fixed, (x,))

    def _hessian_product(
        self, along: dict[str, Tensor], x: Tensor, y: Tensor
    ) -> dict[str, Tensor]:
        def loss(chosen: dict[str, Tensor]) -> Tensor:
            return -(y * self._logits(chosen, x).log_softmax(dim=1)).sum()

        return jvp(grad(loss), (self.chosen,), (along,))[1]

    def _gauss_newton_product(
        self, along: dict[str, Tensor], x: Tensor, y: Tensor
    ) -> dict[str, Tensor]:
        def logits(chosen: dict[str, Tensor]) -> Tensor:
            return self._logits(chosen, x)

        z, slopes = jvp(logits, (self.chosen,), (along,))[:2]
        probs = z.softmax(dim=1)
        changes = probs * (slopes - (probs * slopes).sum(dim=1, keepdim=True))
        return vjp(logits, self.chosen)[1](changes)[0]
