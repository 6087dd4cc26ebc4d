"""Views of which images help, of the source or of the target, and does influence know?

Photographs -> cartoons of PACS, features of a frozen pretrained network. Views of the
photographs or of the given cartoons, by one operation and strength, are added to what a
last layer is fitted to; its loss on the other cartoons says what they are worth. Prints
Spearman's rank correlation with their mean relative influence, by a last layer fitted
to the photographs alone, and by two that are fitted to half of the given cartoons as
well and judged by the other half. A quarter of an hour of one CPU core.

    python benchmarks/domain_views.py --pacs FOLDER --seed 0   # pip install '.[photos]'
"""

from dataclasses import dataclass, field
from pathlib import Path

import torch
import tyro
from rewards import probs_of, solved
from torch import Tensor
from torch.nn.functional import one_hot

from infaug.classify.backbone import Backbone, begin_backbone
from infaug.classify.network import build_classifier
from infaug.config import ClassifierConfig, DataConfig, InfluenceConfig, PolicyConfig
from infaug.data.class_sizes import rank_in_class
from infaug.data.dataset import Labelled, to_float
from infaug.data.source import load
from infaug.influence.score import relative_influence, with_bias
from infaug.influence.validate import agreement, refit_head
from infaug.randomness import RandomNumbers, generator
from infaug.transform.operations import WITHOUT_STRENGTH, apply_operations

NETWORK = ClassifierConfig(network="efficientnet_lite0", weights="default")
OPERATIONS = (
    *PolicyConfig().operations, "flip_x", "saturate", "hue", "sharpen", "solarize",
    "equalize",
)  # fmt: skip
STRENGTHS = 3  # intervals of an operation's range
CHOICES = [
    (name, interval)
    for name in OPERATIONS
    for interval in ((1,) if name in WITHOUT_STRENGTH else range(STRENGTHS))
]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is measured."""

    pacs: Path
    """With photo.parquet and cartoon.parquet."""
    seed: int = 0
    source: int = 60
    """Photographs of each class."""
    target: int = 12
    """Given cartoons of each class."""


@dataclass(eq=False)
class Images:
    """Features of images and of their views by every choice, float64 with a bias."""

    h1: Tensor
    y: Tensor
    views: list[Tensor] = field(default_factory=list)


def divided(file: Path, num: int, seed: int) -> tuple[Labelled, Labelled]:
    """`num` images of each class, and the others."""
    whole = load(DataConfig(source=str(file), image_size=128)).train
    assert isinstance(whole, Labelled), "few images are not streamed"
    order = torch.randperm(len(whole), generator=generator(seed, file.stem))
    whole = whole.select(order)
    is_given = rank_in_class(whole.labels) < num
    first, others = (
        whole.select(part.nonzero()[:, 0]) for part in (is_given, ~is_given)
    )
    return first, others


def seen(network: Backbone, part: Labelled, choices: list, seed: int) -> Images:
    """What the last layer is given of images and of their views."""

    @torch.no_grad()
    def features(x: Tensor) -> Tensor:
        return with_bias(torch.cat([network.features(z) for z in x.split(60)])).double()

    x = to_float(part.images)
    rng = RandomNumbers.of_size(len(x), seed, "domain views")
    found = Images(features(x), one_hot(part.labels, part.num_classes).double())
    for name, interval in choices:
        own, low = rng.fork(name, interval), 2 * interval / STRENGTHS - 1
        strength = own.fork("strength").uniform(low, low + 2 / STRENGTHS)
        first = torch.zeros(len(x), dtype=torch.int64)
        found.views.append(features(apply_operations(x, (name,), first, strength, own)))
    return found


@dataclass(eq=False)
class Problem:
    """Photographs, given cartoons and the others; every given one counts as several."""

    source: Images
    target: Images
    rest: Images

    def __post_init__(self):
        self.repeats = len(self.source.y) // len(self.target.y)
        squares = self.source.h1.square().sum(dim=1).mean()
        self.damping = 2 * float(squares) / len(self.source.y)

    def head(self, parts: list[tuple[Tensor, Tensor]]) -> Tensor:
        """The last layer that is fitted to these images."""
        h1, y = (torch.cat(of) for of in zip(*parts, strict=True))
        return refit_head(h1, y, damping=self.damping, tol=1e-5)

    def given(self, rows: Tensor | slice = slice(None)) -> list[tuple[Tensor, Tensor]]:
        """The given cartoons, as often as is needed to be as many as photographs."""
        return [(self.target.h1[rows], self.target.y[rows])] * self.repeats

    def worth(self, views: Images, *, with_given: bool) -> Tensor:
        """Minus the loss on the other cartoons once views by each choice are added."""
        parts = [(self.source.h1, self.source.y), *(self.given() if with_given else [])]
        repeats = self.repeats if views is self.target else 1
        found = []
        for h1 in views.views:
            head = self.head([*parts, *[(h1, views.y)] * repeats])
            logs = probs_of(head, self.rest.h1).log()
            found.append((self.rest.y * logs).sum(dim=1).mean())
        return torch.stack(found)

    def rewards(
        self, views: Images, parts: list[tuple[Tensor, Tensor]], judges: Tensor
    ) -> Tensor:
        """Mean relative influence of views, taken negative, at a head of `parts`.

        `judges` are rows of the given cartoons; views of these do not count.
        """
        head, h1 = self.head(parts), torch.cat([h1 for h1, _ in parts])
        s_val = solved(
            head, h1, self.target.h1[judges], self.target.y[judges], self.damping
        )
        rows = torch.ones(len(views.y), dtype=torch.bool)
        if views is self.target:
            rows[judges] = False
        found = []
        for each in views.views:
            z = (probs_of(head, each[rows]), views.y[rows], each[rows])
            floor = InfluenceConfig().norm_floor
            found.append(-relative_influence(s_val, *z, norm_floor=floor).mean())
        return torch.stack(found)


def main(settings: Settings) -> None:
    """Measure, and print a table in Markdown."""
    torch.set_num_threads(1)
    seed = settings.seed
    network = build_classifier(NETWORK.network, 3, 7, 0).eval()
    assert isinstance(network, Backbone), "EfficientNet-Lite0 is one"
    begin_backbone(network, NETWORK)
    photos, _ = divided(settings.pacs / "photo.parquet", settings.source, seed)
    given, rest = divided(settings.pacs / "cartoon.parquet", settings.target, seed)
    problem = Problem(
        seen(network, photos, CHOICES, seed), seen(network, given, CHOICES, seed),
        seen(network, rest, [], seed),
    )  # fmt: skip
    alone = [(problem.source.h1, problem.source.y)]
    half_of = rank_in_class(given.labels) % 2
    halves = [(half_of == k).nonzero()[:, 0] for k in range(2)]
    print("| views of | last layer fitted to | by photographs | by half of both | "
          "lowest loss | highest loss |")  # fmt: skip
    print("|---" * 6 + "|")
    for name, views, with_given in (
        ("photographs", problem.source, False),
        ("photographs", problem.source, True),
        ("cartoons", problem.target, True),
    ):
        worth = problem.worth(views, with_given=with_given)
        by_photos = [problem.rewards(views, alone, half) for half in halves]
        by_both = [
            problem.rewards(views, [*alone, *problem.given(other)], half)
            for half, other in zip(halves, reversed(halves), strict=True)
        ]
        order = worth.argsort(descending=True).tolist()
        fitted = "photographs, cartoons" if with_given else "photographs"
        first, last = (
            ", ".join(f"{CHOICES[k][0]} {CHOICES[k][1] + 1}" for k in part)
            for part in (order[:5], order[:-6:-1])
        )
        ranks = [
            f"{agreement(torch.stack(rewards).mean(dim=0), worth).spearman:.2f}"
            for rewards in (by_photos, by_both)
        ]
        print(f"| {name} | {fitted} | {' | '.join(ranks)} | {first} | {last} |")


if __name__ == "__main__":
    main(tyro.cli(Settings))
