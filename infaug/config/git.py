"""Generative invariance transfer: the generator, and how it is used."""

from dataclasses import dataclass

from infaug.config.fields import within


@dataclass(frozen=True, kw_only=True)
class GitConfig:
    """Generative invariance transfer (Zhou et al., ICLR 2022): a rival for long tails.

    Where our source of the paper is silent, values are those MUNIT is known by (Huang
    et al., 2018) or, for sizes, ours: for 28 px on a CPU.
    """

    style_size: int = 8
    """Length of the style code, whose prior is a standard normal."""
    width: int = 16
    """Channels of the first layer; doubled by each halving of the image."""
    halvings: int = 2
    """Times the image is halved on the way to the content code."""
    blocks: int = 2
    """Residual blocks of the content encoder, and of the decoder."""
    critics: int = 2
    """Least-squares critics: of the whole image, of half its size, ..."""
    steps: int = 3000
    """Updates of the generator; each follows one of the critics."""
    batch_size: int = 32
    """Images of an update."""
    learning_rate: float = 1e-3
    """Of both Adams, betas (0.5, 0.999); falls to 0 on a cosine. Differs from MUNIT's
    1e-4, which is for a hundred times the steps."""
    image_weight: float = 10.0
    """Of the reconstruction of images."""
    style_weight: float = 10.0
    """Of the reconstruction of drawn styles. Differs from MUNIT's 1, with which styles
    were ignored in as few steps as these."""
    content_weight: float = 1.0
    """Of the reconstruction of contents."""
    threshold: int = 500
    """Classes with more training images than this are left alone."""
    portion: float = 0.5
    """Share of the images of small classes that are transformed."""

    def __post_init__(self):
        within(
            self, "git", style_size=">= 1", width=">= 2", critics=">= 1", steps=">= 1",
            batch_size=">= 2", halvings=">= 0", blocks=">= 1", learning_rate="> 0",
            portion="[0, 1]",
        )  # fmt: skip
