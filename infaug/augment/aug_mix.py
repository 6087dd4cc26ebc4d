"""AugMix: several chains of operations, mixed with the image itself."""

from jaxtyping import Float
from torch import Tensor
from torchvision.transforms import v2

from infaug.augment.per_image import per_image
from infaug.randomness import Draws

SEVERITIES = 10


class AugMix:
    """m x + (1 - m) sum_i w_i chain_i(x), drawn for each image on its own.

    Hendrycks et al. (2020): three chains of one to three operations, w from a flat
    Dirichlet, m from Beta(1, 1), as torchvision has them. Labels stay. Differs from the
    paper: without its consistency loss, which is one of training and not of views.

    Args:
        severity: strength of every operation, 1 to 10; 3 is torchvision's default.

    Raises:
        ValueError: if there is no such severity.
    """

    def __init__(self, severity: float = 3):
        if severity not in range(1, SEVERITIES + 1):
            raise ValueError(
                f"the severity must be one of 1..{SEVERITIES}, got {severity}"
            )
        self.policy = _AugMix(
            severity=int(severity), interpolation=v2.InterpolationMode.BILINEAR
        )

    def __call__(
        self, x: Float[Tensor, "B C H W"], draws: Draws
    ) -> Float[Tensor, "B C H W"]:
        """One view of each image."""
        return per_image(x, draws, self.policy)


class _AugMix(v2.AugMix):
    """torchvision's, with all its random numbers from the CPU, also on a GPU."""

    def _sample_dirichlet(self, params: Tensor) -> Tensor:
        return super()._sample_dirichlet(params.cpu()).to(params.device)
