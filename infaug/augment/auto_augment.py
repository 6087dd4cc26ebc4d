"""AutoAugment: policies that others searched for on other data."""

from jaxtyping import Float
from torch import Tensor
from torchvision.transforms import v2

from infaug.augment.per_image import per_image
from infaug.randomness import Draws


class AutoAugment:
    """One of a policy's 25 pairs of operations, drawn for each image on its own.

    Cubuk et al. (2019), torchvision's tables. Nothing is searched for here, so a policy
    has seen many more labels than a run has. Bilinear, as for RandAugment.

    Args:
        policy: the data it was searched on: imagenet, cifar10 or svhn.

    Raises:
        ValueError: if there is no such policy.
    """

    def __init__(self, policy: str = "imagenet"):
        policies = [known.value for known in v2.AutoAugmentPolicy]
        if policy not in policies:
            raise ValueError(
                f"the policy must be one of {', '.join(policies)}, got {policy!r}"
            )
        self.policy = v2.AutoAugment(
            v2.AutoAugmentPolicy(policy), interpolation=v2.InterpolationMode.BILINEAR
        )

    def __call__(
        self, x: Float[Tensor, "B C H W"], draws: Draws
    ) -> Float[Tensor, "B C H W"]:
        """One view of each image."""
        return per_image(x, draws, self.policy)
