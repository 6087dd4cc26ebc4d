"""Letters of the shapes, and the few interfaces that rooms share.

Shape legend, used in every signature:

    B   samples in a batch          K   views per sample
    C   channels                    H W image height and width
    Y   classes                     D   features before the head, D1 = D + 1
    T   length of tau               N   training samples
    M   validation samples          G   batch groups

Images are float, in [0, 1], channels first, wherever a network or an augmentation sees
them; they are stored as uint8. Labels are class indices when stored and rows of
probabilities ("soft labels") when trained on.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor, nn

from infaug.randomness import RandomNumbers


@dataclass(frozen=True)
class Views:
    """What F trains on in one step: K weighted views of each of B samples.

    `x` are images [B, K, C, H, W], or what the frozen layers of F have made of them.
    Every view has a label of its own: mixers change it. Rows of `y` are probabilities;
    rows of `weights` sum to one, or, where images weigh unlike each other
    (`augment.reweight`), have that mean in each batch group.
    """

    x: Float[Tensor, "B K ..."]
    y: Float[Tensor, "B K Y"]
    weights: Float[Tensor, "B K"]


@runtime_checkable
class Classifier(Protocol):
    """F, as the other rooms see it: features, then one linear head.

    `logits = head(features(x))`, with `features` of shape [B, D].
    """

    head: nn.Linear

    def features(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D"]:
        """Input of the head for each image."""
        ...


@runtime_checkable
class Augment(Protocol):
    """x -> x_aug: one random view of every image of a batch.

    The result has the shape of `x` and values in [0, 1]. All randomness comes from
    `rng`, so equal random numbers give equal views.
    """

    def __call__(
        self, x: Float[Tensor, "B C H W"], rng: RandomNumbers
    ) -> Float[Tensor, "B C H W"]:
        """One view per image."""
        ...


@runtime_checkable
class Mixer(Protocol):
    """(x, y) -> (x_mix, y_mix): every image of a batch and its label, with others'.

    Partners belong to the same batch group. Shapes stay, values stay in [0, 1] and rows
    of y sum to one. All randomness comes from `rng`, whose groups are those of x.
    """

    def __call__(
        self, x: Float[Tensor, "B C H W"], y: Float[Tensor, "B Y"], rng: RandomNumbers
    ) -> tuple[Float[Tensor, "B C H W"], Float[Tensor, "B Y"]]:
        """One mixed view per image, and its soft label."""
        ...
