"""The method on points in the plane: Figure 3 of the ICLR 2019 submission, section 5.1.

Row 1: training and validation points of one distribution; tau points at the validation
points that F gets wrong. Row 2: validation moved down; tau follows. Ten seconds of one
CPU core, no data needed.

    python ray_jobs/toy2d.py --out docs/figures/toy2d.png

A point is an image of two channels and one pixel, so every formula is the one that
images go through. The paper gives no numbers: clouds and networks are ours.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Bool, Float, Int64
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam

from infaug.config import InfluenceConfig
from infaug.descent import descend
from infaug.estimate.fit import influence_of
from infaug.influence.conjugate import cg
from infaug.influence.features import head_inputs
from infaug.influence.hessian import LastLayerHessian
from infaug.influence.operator import Damped
from infaug.influence.score import mean_head_gradient
from infaug.randomness import RandomNumbers, generator, seeded
from infaug.world import World

CENTRES = ((-0.7, 0.7), (0.7, -0.7))  # the best border is y = x
REACH = 0.7  # farthest E may move a point along each axis
NUM_BUMPS, BUMP_WIDTH = 64, 0.7
CLASSIFIER_STEPS, ESTIMATOR_STEPS = 300, 200
LEARNING_RATE, WEIGHT_DECAY = 1e-2, 1e-3
TAU_NOISE, NUM_DRAWS = 0.5, 4  # without noise E stays in the nearest local minimum
PENALTY = 0.1
INFLUENCE = InfluenceConfig(objective="raw")  # as in the paper

COLOURS, EXTENT = ("#c0392b", "#2266aa"), 2.9
PANELS = (
    "training points\nF before",
    "validation points\nF before",
    "where E moves the training points\nF refitted to both",
    "validation points\nF refitted to both",
)

Points = Float[Tensor, "B 2 1 1"]


@dataclass(frozen=True, eq=False)
class Clouds:
    """Points (x to the right, y upwards) of two classes."""

    train: Float[Tensor, "N 2"]
    train_labels: Int64[Tensor, "N"]
    val: Float[Tensor, "M 2"]
    val_labels: Int64[Tensor, "M"]


def overlapping(seed: int) -> Clouds:
    """Row 1: clouds of which the best classifier gets about 5 % wrong."""
    return _sample(seed, "overlapping", spread=0.6, down=0.0)


def moved_down(seed: int) -> Clouds:
    """Row 2: separable clouds; a fifth of class 0's validation points cross over."""
    return _sample(seed, "moved down", spread=0.35, down=1.0)


def _sample(seed: int, name: str, *, spread: float, down: float) -> Clouds:
    labels = torch.arange(100) % 2
    train, val = (
        torch.tensor(CENTRES)[labels]
        + spread * torch.randn(100, 2, generator=generator(seed, "toy2d", name, part))
        for part in ("train", "validation")
    )
    return Clouds(train, labels, val - torch.tensor([0.0, down]), labels)


class PointClassifier(nn.Module):
    """F, of three layers: the point, 64 Gaussian bumps of learned place, the logits.

    The last layer sees the distance of two points only through h1 . h1', and to tanh
    units all points across the border look alike.
    """

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


def translate(x: Points, tau: Float[Tensor, "B 2"]) -> Points:
    """G: x + REACH tau."""
    return x + REACH * tau[:, :, None, None]


@dataclass(frozen=True, eq=False)
class Row:
    """One row of Figure 3."""

    points: Clouds
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
            logits = self.before(as_images(self.points.val))
        return logits.argmax(dim=1) != self.points.val_labels


def learn_translations(points: Clouds, seed: int = 0) -> Row:
    """Fit F, solve for s_val, fit E against both, fit F anew."""
    x, labels = as_images(points.train), points.train_labels
    before = _fit_classifier(x, labels, seed)
    estimator = _fit_estimator(before, _solve(before, points), x, labels, seed)
    with torch.no_grad():
        moved = translate(x, estimator(x))
    after = _fit_classifier(torch.cat([x, moved]), labels.repeat(2), seed)
    return Row(points, before, moved[:, :, 0, 0], after)


def as_images(points: Float[Tensor, "N 2"]) -> Points:
    """Each point as an image of two channels and one pixel."""
    return points[:, :, None, None]


def validation_loss(classifier: PointClassifier, points: Clouds) -> float:
    """Mean cross-entropy on the validation points, nats."""
    with torch.no_grad():
        logits = classifier(as_images(points.val))
        return float(F.cross_entropy(logits, points.val_labels))


def _fit_classifier(
    x: Points, labels: Int64[Tensor, "B"], seed: int
) -> PointClassifier:
    with seeded(seed, "toy2d", "PointClassifier"):
        classifier = PointClassifier(2)
    optimizer = Adam(classifier.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    for _ in range(CLASSIFIER_STEPS):
        loss = F.cross_entropy(classifier(x), labels)
        descend([loss], optimizer, World(), name="toy classifier")
    return classifier.eval().requires_grad_(False)


def _solve(classifier: PointClassifier, points: Clouds) -> Float[Tensor, "Y D1"]:
    train, validation = as_images(points.train), as_images(points.val)
    h1, probs = head_inputs(classifier, train, batch_size=len(train))
    val_h1, val_probs = head_inputs(classifier, validation, batch_size=len(validation))
    y = F.one_hot(points.val_labels, probs.shape[1]).to(probs)
    return cg(
        Damped(LastLayerHessian(h1, probs), INFLUENCE.damping),
        mean_head_gradient(val_probs, y, val_h1),
        rtol=INFLUENCE.rtol,
        max_products=INFLUENCE.max_products,
    ).value


def _fit_estimator(
    classifier: PointClassifier,
    s_val: Float[Tensor, "Y D1"],
    x: Points,
    labels: Int64[Tensor, "N"],
    seed: int,
) -> nn.Module:
    with seeded(seed, "toy2d", "PointEstimator"):
        layers = (nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 2), nn.Tanh())
    estimator = nn.Sequential(nn.Flatten(), *layers)  # a point to its tau in (-1, 1)^2
    y = F.one_hot(labels, s_val.shape[0]).to(s_val).repeat(NUM_DRAWS, 1)
    optimizer = Adam(estimator.parameters(), LEARNING_RATE)
    for step in range(ESTIMATOR_STEPS):
        tau = estimator(x).repeat(NUM_DRAWS, 1)
        noise = TAU_NOISE * RandomNumbers.of_size(
            len(tau), seed, "toy2d tau", step
        ).normal(2)
        h = classifier.features(translate(x.repeat(NUM_DRAWS, 1, 1, 1), tau + noise))
        scores = influence_of(classifier, s_val, h, y, INFLUENCE) / s_val.norm()
        loss = (scores + PENALTY * tau.square().mean(dim=1)).mean()
        descend([loss], optimizer, World(), name="toy estimator")
    return estimator


def draw(rows: Sequence[tuple[str, Row]], path: Path) -> None:
    """Write the figure as PNG: a titled row of four panels for each result.

    Shading is the probability of class 1, the solid line F's border, dashes the border
    before. Rings mark the validation points that F got wrong before.
    """
    figure = Figure(figsize=(13, 3.4 * len(rows) + 0.9), layout="constrained")
    axes = figure.subplots(len(rows), 4, squeeze=False, sharex=True, sharey=True)
    for (title, row), line in zip(rows, axes, strict=True):
        _draw_row(row, line)
        line[0].set_ylabel(title, fontsize=12)
    for axis, title in zip(axes[0], PANELS, strict=True):
        axis.set_title(title, fontsize=11)
    figure.savefig(path, dpi=110)


def _draw_row(row: Row, axes: Sequence[Axes]) -> None:
    points, f = row.points, (row.before, row.before, row.after, row.after)
    for axis, classifier in zip(axes, f, strict=True):
        _shade(axis, classifier)
    for axis in axes[2:]:
        _border(axis, row.before, "dashed")
    _dots(axes[0], points.train, points.train_labels)
    for axis, classifier in ((axes[1], row.before), (axes[3], row.after)):
        _dots(axis, points.val, points.val_labels)
        axis.set_xlabel(f"validation loss {validation_loss(classifier, points):.3f}")
    axes[2].quiver(
        *points.train.T, *(row.moved - points.train).T, angles="xy", scale=1,
        scale_units="xy", color=[COLOURS[k] for k in points.train_labels.tolist()],
        width=0.005, headwidth=4, headlength=4.5, alpha=0.85, zorder=3,
    )  # fmt: skip
    for axis in axes[1:]:
        rings = points.val[row.missed]
        axis.scatter(*rings.T, s=70, facecolors="none", edgecolors="black", zorder=4)


def _probability(classifier: PointClassifier) -> tuple[Tensor, Tensor, Tensor]:
    ticks = torch.linspace(-EXTENT, EXTENT, 160)
    xs, ys = torch.meshgrid(ticks, ticks, indexing="xy")
    grid = as_images(torch.stack([xs.flatten(), ys.flatten()], dim=1))
    with torch.no_grad():
        return xs, ys, classifier(grid).softmax(dim=1)[:, 1].view_as(xs)


def _shade(axis: Axes, classifier: PointClassifier) -> None:
    levels = [k / 10 for k in range(11)]
    axis.contourf(*_probability(classifier), levels=levels, cmap="RdBu", alpha=0.45)
    _border(axis, classifier, "solid")
    axis.set(xlim=(-EXTENT, EXTENT), ylim=(-EXTENT, EXTENT), aspect="equal")
    axis.set(xticks=[], yticks=[])


def _border(axis: Axes, classifier: PointClassifier, style: str) -> None:
    axis.contour(
        *_probability(classifier), levels=[0.5], colors="#333333", linestyles=style,
        linewidths=1.3,
    )  # fmt: skip


def _dots(axis: Axes, points: Float[Tensor, "N 2"], labels: Int64[Tensor, "N"]) -> None:
    colours = [COLOURS[k] for k in labels.tolist()]
    axis.scatter(*points.T, s=18, c=colours, edgecolors="white", linewidths=0.5)


def main() -> None:
    """Learn both rows, draw them, print the validation losses."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/figures/toy2d.png"))
    parser.add_argument("--seed", type=int, default=0, help="of points and networks")
    args = parser.parse_args()
    points = {
        "1. one distribution": overlapping(args.seed),
        "2. validation moved down": moved_down(args.seed),
    }
    rows = [(name, learn_translations(p, args.seed)) for name, p in points.items()]
    args.out.parent.mkdir(parents=True, exist_ok=True)
    draw(rows, args.out)
    for name, row in rows:
        before, after = (
            validation_loss(f, row.points) for f in (row.before, row.after)
        )
        print(f"{name}: validation loss {before:.3f} -> {after:.3f} nats")
    print(args.out)


if __name__ == "__main__":
    main()
