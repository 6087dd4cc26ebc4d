"""F and how it is trained."""

import re
from dataclasses import dataclass
from typing import Literal

from infaug.config.fields import require, within

Network = str
NETWORKS = (
    "auto", "allconv", "resnet20", "resnet56", "wrn28_10", "resnet18", "resnet50",
    "given", "efficientnet_lite0",
)  # fmt: skip
NETWORK_VARIABLE = "INFAUG_NETWORK"
"""Variable with the `py:` network that the command names; workers inherit it.
A config alone names none: reading a stranger's run must not import what it says."""
ELSEWHERE = re.compile(r"(timm|torchvision):[\w.]+|py:[\w.]+:\w+")
Freeze = Literal["auto", "none", "early", "body"]
ViewLoss = Literal["mean", "mmel_hard", "mmel_soft"]


@dataclass(frozen=True, kw_only=True)
class ClassifierConfig:
    """F and how it is trained."""

    network: Network = "auto"
    """allconv, resnet20, resnet56, wrn28_10, resnet18, resnet50, efficientnet_lite0,
    timm:NAME, torchvision:NAME, or py:package.module:function, called with
    num_classes=Y. `auto`: allconv up to 32 px grey, resnet56 (on a CPU resnet20) up to
    64 px, resnet18 above. `given`: the module that infaug.fit is called with in
    Python."""
    weights: str = "none"
    """Pretrained weights of timm's and torchvision's networks and efficientnet_lite0:
    a file (safetensors, or a pickle of tensors), or `default`, the network's own."""
    freeze: Freeze = "auto"
    """Which layers stay as they are: `none`; `early`, all but the last block or blocks;
    `body`, all but the head. `auto`: early for pretrained weights on a CPU, else none.
    What the frozen layers make of a view is computed once; BatchNorm keeps its
    statistics, in all of the network."""
    frozen_views: int = 4
    """Where layers are frozen: draws of each random view of an image, among which F
    picks anew in every step; up to four times as many of an image that is repeated."""
    batch_size: int = 0
    """Images per step, over all workers; every image is seen in `views` views. 0: 64,
    or 32 for pretrained weights on a CPU."""
    batch_groups: int = 4
    """Groups of a batch with their own BatchNorm statistics and random numbers; shared
    among the workers, of whom there can be as many."""
    optimizer: Literal["auto", "adam", "sgd"] = "auto"
    """`auto`: adam for allconv and a given module, sgd with Nesterov momentum 0.9 for
    the ResNets."""
    views: int = 2
    """Views of every image in a step: those of a method, in turn, until there are
    enough; 2 or more."""
    mmel_lambda: float = 1.0
    """Methods mmel_hard and mmel_soft: views weigh softmax(loss / mmel_lambda), nats.
    Large: all alike; towards 0: the worst view alone."""
    learning_rate: float | None = None
    """Peak of the schedule; None: 2e-3 for adam, 1e-3 for a given module, 0.1 for
    sgd."""
    layer_decay: float = 1.0
    """Learning rate of the first layer that learns, as a share of the head's; those of
    the layers between lie geometrically between. 1: all have the same, but a body with
    pretrained weights begins at 0.1."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Of Adam."""
    schedule: Literal["cosine", "steps"] = "cosine"
    """`cosine`: down to 0 at the end; `steps`: a tenth at each of `milestones`."""
    milestones: tuple[float, ...] = (1 / 3, 2 / 3, 8 / 9)
    """Of `steps`, as shares of all steps: epochs 90, 180 and 240 of 270."""
    warmup: float = 0.0
    """Share of all steps in which the rate first grows from 0; 0: none, but a quarter
    for pretrained weights."""
    microbatches: int = 1
    """Parts, of whole groups, in which a worker's share of a batch goes through F, for
    little memory. Doubled while F runs out of GPU memory; the batch stays."""
    weight_decay: float = 1e-4
    """Decoupled for adam; L2 for sgd."""
    decay_norms: bool = True
    """Decay biases and the scales of normalisation layers, too; recipes for ImageNet
    leave them out."""
    label_smoothing: float = 0.0
    """Share of every label that is spread over all classes; 0.1 is usual on ImageNet
    (Szegedy et al., 2016)."""
    ema: float = 0.0
    """F that is evaluated and kept is a moving average of the weights, of which this
    share is kept in a step, less in the first ones; 0: none. 0.9999 is usual on
    ImageNet. E and s_val see the weights that train."""
    precision: Literal["auto", "float32", "bfloat16", "float64"] = "auto"
    """`auto`: bfloat16 autocast where the hardware multiplies bfloat16 itself, else
    float32. float64 is for proofs."""
    bfloat16_gradients: bool = False
    """Workers exchange F's gradients in bfloat16: half the bytes for slow networks
    between machines, and a little noise."""
    channels_last: bool = True
    """Memory format of convolutions; measured by benchmarks/precision.py."""
    compile: bool = False
    """torch.compile F's steps: minutes at first, faster steps on a GPU; the same up to
    rounding."""

    @property
    def begins_at_random(self) -> bool:
        """Whether F has no weights of its own at first, as far as is known here."""
        is_own = self.network == "given" or self.network.startswith("py:")
        return self.weights == "none" and not is_own

    def __post_init__(self):
        within(
            self, "classifier", frozen_views=">= 1", batch_groups=">= 1", views=">= 2",
            mmel_lambda="> 0", learning_rate="> 0", layer_decay="(0, 1]",
            betas="[0, 1)", warmup="[0, 1)", milestones="(0, 1)", microbatches=">= 1",
            weight_decay=">= 0", label_smoothing="[0, 1)", ema="[0, 1)",
        )  # fmt: skip
        known = self.network in NETWORKS or ELSEWHERE.fullmatch(self.network)
        rule = f"must be one of {', '.join(NETWORKS)}, timm:NAME, torchvision:NAME or "
        rule += "py:package.module:function"
        require(bool(known), "classifier.network", rule, self.network)
        own = self.network.startswith("py:")
        loads = ":" in self.network or self.network == "efficientnet_lite0"
        fits = self.weights == "none" or (loads and not own)
        rule = f"needs a network of timm or torchvision, not {self.network}"
        require(fits, "classifier.weights", rule, self.weights)
        learns = self.freeze in ("auto", "none") or self.weights != "none" or own
        rule = "needs classifier.weights: a frozen network learns no features"
        require(learns, "classifier.freeze", rule, self.freeze)
        size, groups = self.batch_size, self.batch_groups
        whole = (size == 0 or size >= groups) and size % groups == 0
        rule = f"must be a multiple of batch_groups ({groups})"
        require(whole, "classifier.batch_size", rule, size)
