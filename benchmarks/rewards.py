"""Rewards of views for `reward.py`: what a batch of views does for the target."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from infaug.classify.image_classifier import ImageClassifier
from infaug.config import InfluenceConfig
from infaug.influence.conjugate import cg
from infaug.influence.hessian import LastLayerHessian
from infaug.influence.operator import Damped
from infaug.influence.score import (
    gradient_norm,
    mean_head_gradient,
    relative_influence,
    upweight_influence,
    with_bias,
)
from infaug.influence.validate import refit_head

NORM_FLOOR = InfluenceConfig().norm_floor
DAMPINGS = (1e-3, 1e-2, 1e-1)
Reward = Callable[[Tensor, Tensor], float]


def all_rewards(
    network: ImageClassifier, x: Tensor, y: Tensor, x_val: Tensor, y_val: Tensor
) -> Iterator[tuple[str, Reward]]:
    """Rewards by name: (views, labels) -> a number that is to grow."""
    with torch.no_grad():
        h1, h1_val = (with_bias(network.features(z)).double() for z in (x, x_val))
    head, y_val = with_head(network), y_val.double()
    for damping in DAMPINGS:
        refitted = refit_head(h1, y.double(), damping=damping, tol=1e-4)
        for name, weights in (("", head), (", head refitted", refitted)):
            s_val = solved(weights, h1, h1_val, y_val, damping)
            for kind in ("relative", "raw"):
                label = f"{kind} influence, damping {damping:g}{name}"
                yield label, by_head(network, weights, s_val, kind)
    plain = mean_head_gradient(probs_of(head, h1_val), y_val, h1_val)
    for kind in ("relative", "raw"):
        yield f"{kind} gradient, no H^-1", by_head(network, head, plain, kind)
    yield "head fitted to the views alone", by_refit(network, h1_val, y_val)
    along = gradient_of(network, x_val, y_val)
    for kind in ("relative", "raw", "cosine"):
        yield f"{kind} gradient, whole network", by_network(network, along, kind)


def with_head(network: ImageClassifier) -> Tensor:
    """[W b] in float64."""
    weight, bias = network.head.weight, network.head.bias
    return torch.cat([weight, bias[:, None]], dim=1).detach().double()


def probs_of(head: Tensor, h1: Tensor) -> Tensor:
    """Probabilities by a head."""
    return (h1 @ head.T).softmax(dim=1)


def solved(
    head: Tensor, h1: Tensor, h1_val: Tensor, y_val: Tensor, damping: float
) -> Tensor:
    """(H + damping)^-1 grad L_val at a head."""
    hessian = Damped(LastLayerHessian(h1, probs_of(head, h1)), damping)
    gradient = mean_head_gradient(probs_of(head, h1_val), y_val, h1_val)
    return cg(hessian, gradient, rtol=1e-3, max_products=500).value


def by_head(network: ImageClassifier, head: Tensor, s_val: Tensor, kind: str) -> Reward:
    """Influence of views over |S|, by the last layer alone."""

    @torch.no_grad()
    def reward(views: Tensor, y: Tensor) -> float:
        h1 = with_bias(network.features(views)).double()
        probs = probs_of(head, h1)
        if kind == "raw":
            scores = upweight_influence(s_val, probs, y.double(), h1)
        else:
            scores = relative_influence(
                s_val, probs, y.double(), h1, norm_floor=NORM_FLOOR
            )
        return -float(scores.mean() / s_val.norm())

    return reward


def by_refit(network: ImageClassifier, h1_val: Tensor, y_val: Tensor) -> Reward:
    """Minus the target's loss under a head fitted to the features of the views."""

    @torch.no_grad()
    def reward(views: Tensor, y: Tensor) -> float:
        h1 = with_bias(network.features(views)).double()
        head = refit_head(h1, y.double(), damping=1e-2, tol=1e-4)
        return float((y_val * probs_of(head, h1_val).log()).sum(dim=1).mean())

    return reward


def gradient_of(
    network: ImageClassifier, x: Tensor, y: Tensor, weights: Tensor | float = 1.0
) -> Tensor:
    """Of the mean of the weighted cross-entropies in all parameters."""
    loss = (weights * cross_entropy(network(x), y, reduction="none")).mean()
    parameters = [p for p in network.parameters() if p.requires_grad]
    return torch.cat([g.flatten() for g in torch.autograd.grad(loss, parameters)])


def by_network(network: ImageClassifier, along: Tensor, kind: str) -> Reward:
    """Fall of the target's loss per step of gradient descent on the views."""

    def reward(views: Tensor, y: Tensor) -> float:
        weights: Tensor | float = 1.0
        if kind == "relative":
            with torch.no_grad():
                h = network.features(views)
                probs = network.head(h).softmax(dim=1)
                weights = 1 / (gradient_norm(probs, y, with_bias(h)) + NORM_FLOOR)
        gradient = gradient_of(network, views, y, weights)
        length = gradient.norm() * along.norm() if kind == "cosine" else 1.0
        return float(gradient @ along / length)

    return reward
