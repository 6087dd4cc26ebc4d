"""The whole method on points in the plane, where it can be seen.

Lee et al. (ICLR 2019 submission), section 5.1 and Figure 3: the augmentation is a
translation, so tau is where a point moves. A point is an image of two channels and one
pixel, so that every formula is the one that images go through; s_val is solved once.

F's hidden units are Gaussian bumps: the last layer sees the distance of two points only
through h1 . h1', and to tanh units all points across the border look alike. With them E
learns to cross the border somewhere, whether or not validation points are missed there.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam

from infaug.config import InfluenceConfig
from infaug.data.toy2d import Toy2d
from infaug.descent import descend
from infaug.estimate.fit import influence_of
from infaug.influence.conjugate import cg
from infaug.influence.features import head_inputs
from infaug.influence.hessian import LastLayerHessian
from infaug.influence.operator import Damped
from infaug.influence.score import mean_head_gradient
from infaug.randomness import Draws, generator
from infaug.world import World

REACH = 0.7  # farthest E may move a point along each axis
NUM_BUMPS, BUMP_WIDTH = 64, 0.7
CLASSIFIER_STEPS, ESTIMATOR_STEPS = 300, 200
LEARNING_RATE = 1e-2
WEIGHT_DECAY = 1e-3
TAU_NOISE, NUM_DRAWS = 0.5, 4  # without noise E stays in the nearest local minimum
RESTRAINT = 0.1
INFLUENCE = InfluenceConfig(objective="raw")  # as in the paper

Points = Float[Tensor, "B 2 1 1"]


class PointClassifier(nn.Module):
    """F, of three layers: the point, 64 Gaussian bumps of learned place, the logits."""

    def __init__(self, num_classes: int):
        super().__init__()
        self.centres = nn.Parameter(5 * torch.rand(NUM_BUMPS, 2) - 2.5)
        self.head = nn.Linear(NUM_BUMPS, num_classes)

    def features(self, x: Points) -> Float[Tensor, "B D"]:
        """Input of the head for each point: exp(-|x - centre|^2 / (2 width^2))."""
        away = x.flatten(1)[:, None, :] - self.centres
        return torch.exp(-away.square().sum(dim=2) / (2 * BUMP_WIDTH**2))

    def forward(self, x: Points) -> Float[Tensor, "B Y"]:
        """Logits."""
        return self.head(self.features(x))


class PointEstimator(nn.Sequential):
    """E: a point to its tau in (-1, 1)^2."""

    def __init__(self):
        hidden = 32
        layers = (nn.Linear(2, hidden), nn.Tanh(), nn.Linear(hidden, 2), nn.Tanh())
        super().__init__(nn.Flatten(), *layers)


def translate(x: Points, tau: Float[Tensor, "B 2"]) -> Points:
    """G: x + REACH tau."""
    return x + REACH * tau[:, :, None, None]


@dataclass(frozen=True, eq=False)
class ToyResult:
    """One row of Figure 3."""

    points: Toy2d
    before: PointClassifier
    """F fitted to the training points."""
    moved: Float[Tensor, "N 2"]
    """Where E moves each training point."""
    after: PointClassifier
    """F fitted anew, to the training points and the moved ones."""

    @property
    def missed(self) -> Bool[Tensor, "M"]:
        """Which validation points `before` gets wrong."""
        with torch.no_grad():
            logits = self.before(as_images(self.points.val_points))
        return logits.argmax(dim=1) != self.points.val_labels

    def aim(self, targets: Bool[Tensor, "M"]) -> float:
        """How far tau points at these validation points: 1 straight, 0 across, -1 away.

        Each training point's target is the nearest of its class; the mean over points
        of the cosine of tau and the way there, weighted by |tau|. NaN without targets.
        """
        points, along, lengths = self.points, [], []
        for label in points.val_labels[targets].unique():
            goals = points.val_points[targets & (points.val_labels == label)]
            own = points.train_labels == label
            start, tau = (
                points.train_points[own],
                (self.moved - points.train_points)[own],
            )
            way = goals[torch.cdist(start, goals).argmin(dim=1)] - start
            along.append((tau * F.normalize(way, dim=1)).sum(dim=1))
            lengths.append(tau.norm(dim=1))
        if not along:
            return float("nan")
        return float(torch.cat(along).sum() / torch.cat(lengths).sum())


def learn_translations(
    points: Toy2d, seed: int = 0, influence: InfluenceConfig = INFLUENCE
) -> ToyResult:
    """Fit F, solve for s_val, fit E against both, fit F anew.

    Raises:
        ValueError: if a loss is not finite.
    """
    x, labels = as_images(points.train_points), points.train_labels
    before = _fit_classifier(x, labels, seed)
    s_val = _solve(before, points, influence)
    estimator = _fit_estimator(before, s_val, x, labels, seed, influence)
    with torch.no_grad():
        moved = translate(x, estimator(x))
    after = _fit_classifier(torch.cat([x, moved]), labels.repeat(2), seed)
    return ToyResult(points, before, moved[:, :, 0, 0], after)


def as_images(points: Float[Tensor, "N 2"]) -> Points:
    """Each point as an image of two channels and one pixel."""
    return points[:, :, None, None]


def validation_loss(classifier: PointClassifier, points: Toy2d) -> float:
    """Mean cross-entropy on the validation points, nats."""
    with torch.no_grad():
        logits = classifier(as_images(points.val_points))
        return float(F.cross_entropy(logits, points.val_labels))


def _seeded(build: type[nn.Module], *arguments: int, seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(generator(seed, "toy2d", build.__name__).initial_seed())
        return build(*arguments)


def _fit_classifier(
    x: Points, labels: Int64[Tensor, "B"], seed: int
) -> PointClassifier:
    classifier = _seeded(PointClassifier, int(labels.max()) + 1, seed=seed)
    assert isinstance(classifier, PointClassifier)
    optimizer = Adam(classifier.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    for _ in range(CLASSIFIER_STEPS):
        loss = F.cross_entropy(classifier(x), labels)
        descend([loss], optimizer, World(), name="toy classifier")
    return classifier.eval().requires_grad_(False)


def _solve(
    classifier: PointClassifier, points: Toy2d, config: InfluenceConfig
) -> Float[Tensor, "Y D1"]:
    train, validation = as_images(points.train_points), as_images(points.val_points)
    h1, probs = head_inputs(classifier, train, batch_size=len(train))
    val_h1, val_probs = head_inputs(classifier, validation, batch_size=len(validation))
    y = F.one_hot(points.val_labels, probs.shape[1]).to(probs)
    return cg(
        Damped(LastLayerHessian(h1, probs), config.damping),
        mean_head_gradient(val_probs, y, val_h1),
        rtol=config.rtol,
        max_products=config.max_products,
    ).value


def _fit_estimator(
    classifier: PointClassifier,
    s_val: Float[Tensor, "Y D1"],
    x: Points,
    labels: Int64[Tensor, "N"],
    seed: int,
    config: InfluenceConfig,
) -> nn.Module:
    estimator = _seeded(PointEstimator, seed=seed)
    y = F.one_hot(labels, s_val.shape[0]).to(s_val).repeat(NUM_DRAWS, 1)
    optimizer = Adam(estimator.parameters(), LEARNING_RATE)
    for step in range(ESTIMATOR_STEPS):
        tau = estimator(x).repeat(NUM_DRAWS, 1)
        noise = TAU_NOISE * Draws.of_size(len(tau), seed, "toy2d tau", step).normal(2)
        h = classifier.features(translate(x.repeat(NUM_DRAWS, 1, 1, 1), tau + noise))
        scores = influence_of(classifier, s_val, h, y, config) / s_val.norm()
        loss = (scores + RESTRAINT * tau.square().mean(dim=1)).mean()
        descend([loss], optimizer, World(), name="toy estimator")
    return estimator
