"""E and G by the one-step meta-gradient: what would one step of F on x_aug do?

F is moved by theta' = theta - rate g, g the gradient of the mean loss of x_aug, and
L_val(theta') is to fall. By the chain rule its gradient in x_aug is that of
-rate <v, g>, where v = grad L_val(theta') is a constant. So each image has a score of
its own, the slope of its loss along v, and the processes' parts of a batch add up.

Beside influence: v takes the place of S. It is of all of F, not of the head; the
Hessian is left out, as if F were to take one step and not to converge; and it is drawn
from a minibatch and new at each step, not solved for once a round.

Mounsaveng et al., "Learning Data Augmentation with Online Bilevel Optimization for
Image Classification", WACV 2021; the one step as in Ren et al., ICML 2018.

Differs from the papers: E and G are ours, so that only what teaches them is compared;
the step is plain gradient descent, with F in evaluation mode, and F itself is not moved
by it: F and E take turns as in every learned method.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call, jvp

from infaug.classify.network import ImageClassifier
from infaug.config import BilevelConfig
from infaug.data.batches import batch_indices
from infaug.data.dataset import to_float
from infaug.data.on_disk import ImageSet, OnDisk
from infaug.data.share import local_part, local_rows
from infaug.influence.features import refuse_training_mode
from infaug.randomness import SeedKey
from infaug.world import World

Parameters = dict[str, Tensor]
Losses = Callable[[Parameters], Float[Tensor, "B"]]


class Lookahead:
    """Scores of x_aug whose mean falls as L_val(theta - rate g) does.

    score(z) = -<v, g(z)> / |v|, with g(z) the gradient of one image's loss in all of
    theta, g their mean over the global batch and v = grad L_val(theta - rate g) over a
    minibatch of the influence split, the same on all processes. The gradient of the
    mean score in x_aug is that of L_val(theta - rate g) over rate |v|; dividing by |v|
    gives nats per unit of weight, beside which `estimator.field_penalty` weighs alike
    however well F has learned. Negative: a step on z helps.

    All is computed in F's own dtype: PyTorch has no derivative along a direction under
    autocast.

    Raises:
        ValueError: if F is in training mode, or its loss not finite after the step.
    """

    def __init__(
        self,
        classifier: ImageClassifier,
        influence: ImageSet,
        config: BilevelConfig,
        *seed_key: SeedKey,
        batch_size: int,
        world: World,
    ):
        refuse_training_mode(classifier)
        self.network = Logits(classifier)
        self.theta = {k: p.detach() for k, p in self.network.named_parameters()}
        self.influence, self.config, self.seed_key = influence, config, seed_key
        self.batch_size, self.world = batch_size, world
        weight = next(iter(self.theta.values()))
        self.dtype, self.device = weight.dtype, weight.device

    def __call__(
        self, step: int, x_aug: Float[Tensor, "B C H W"], y: Float[Tensor, "B Y"]
    ) -> Float[Tensor, "B"]:
        """The score of each of this process's images; gradients flow to x_aug."""
        x_aug, y = x_aug.to(self.dtype), y.to(self.dtype)
        ahead = self.after_a_step(x_aug.detach(), y)
        x_val, y_val = self.minibatch(step)
        v = gradients(self.losses_of(x_val, y_val), ahead)
        if isinstance(self.influence, OnDisk):
            self.world.sum_(list(v.values()))
        slopes = jvp(self.losses_of(x_aug, y), (self.theta,), (v,))[1]
        return -slopes / self.length_of(v)

    def length_of(self, v: Parameters) -> Float[Tensor, ""]:
        """|v| over all parameters; where v is zero nothing has a slope, and no NaN."""
        squares = torch.stack([part.square().sum() for part in v.values()])
        length = squares.sum().sqrt()
        if not length.isfinite():
            raise ValueError(
                f"bilevel.rate: after a step of F at {self.config.rate:g} its loss on "
                "influence images is not finite: lower it, or look for broken images"
            )
        return length.clamp_min(torch.finfo(length.dtype).tiny)

    def after_a_step(
        self, x: Float[Tensor, "B C H W"], y: Float[Tensor, "B Y"]
    ) -> Parameters:
        """F after a step: theta - rate g, with g of the images of all processes."""
        g = gradients(self.losses_of(x, y), self.theta)
        self.world.sum_(list(g.values()))
        length = self.config.rate / self.batch_size
        return {k: p - length * g[k] for k, p in self.theta.items()}

    def minibatch(
        self, step: int
    ) -> tuple[Float[Tensor, "V C H W"], Float[Tensor, "V Y"]]:
        """Influence images of a step and their one-hot labels.

        Of images on disk, those that this process holds.
        """
        total = len(self.influence)
        size = min(self.config.batch_size, total)
        at = batch_indices(total, size, step, *self.seed_key)
        if isinstance(self.influence, OnDisk):
            rows = local_rows(self.influence, self.world)
            at = at[(at >= rows.start) & (at < rows.stop)] - rows.start
            chosen = local_part(self.influence, self.world).select(at).to(self.device)
        else:
            chosen = self.influence.select(at.to(self.influence.labels.device))
        labels = torch.nn.functional.one_hot(chosen.labels, chosen.num_classes)
        return to_float(chosen.images).to(self.dtype), labels.to(self.dtype)

    def losses_of(self, x: Float[Tensor, "B C H W"], y: Float[Tensor, "B Y"]) -> Losses:
        """Theta -> cross-entropy of each image, nats."""

        def losses(theta: Parameters) -> Tensor:
            logits = functional_call(self.network, theta, (x,))
            return -(y * logits.log_softmax(dim=1)).sum(dim=1)

        return losses


class Logits(nn.Module):
    """x -> logits by F's parts: a compiled F cannot be derived along a direction."""

    def __init__(self, classifier: ImageClassifier):
        super().__init__()
        self.classifier = classifier

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B Y"]:
        """Logits."""
        return self.classifier.head(self.classifier.features(x))


def gradients(losses: Losses, theta: Parameters) -> Parameters:
    """Gradient of the sum of the losses in every parameter."""
    leaves = {k: p.detach().requires_grad_() for k, p in theta.items()}
    with torch.enable_grad():
        total = losses(leaves).sum()
    found = torch.autograd.grad(total, list(leaves.values()))
    return dict(zip(leaves, found, strict=True))
