"""Do the answer's intervals hold? Thousands of simulated experiments on MNIST.

An experiment draws labelled source images, turned by nothing, and target images, turned
by 40 degrees, that no other experiment has; divides the target into folds; trains each
method in each fold; and makes the answer as `infaug fit` does. A method is a linear
head on random features that are drawn anew for each training, as the weights of a
network are, so a training takes milliseconds. Equal methods differ by nothing but those
draws; unequal ones by the number of features. Truth is accuracy on 20,000 other target
images: of the chosen method, trained on all; and of equal methods, that none gains.

    python benchmarks/intervals.py --mnist FOLDER --experiments 500

Prints, by numbers of target images, folds and passes over them, how often "gain" is
said (of equal methods in at most 5 %), how often the accuracy of the chosen method
lies in its interval, how often above it, by how many points it is better than the
estimate on average, and how wide the interval is; and, as a control, how often the
accuracy lies in Wilson's interval of what the chosen method itself got right, as if
nothing had been chosen and all were independent.
"""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from scipy.stats import binomtest
from torch import Tensor
from torch.nn.functional import one_hot
from torchvision.transforms.v2.functional import rotate

from infaug.config import DataConfig
from infaug.data.dataset import Labelled
from infaug.data.source import load
from infaug.experiment.answer import answer
from infaug.experiment.out_of_fold import OutOfFold, average
from infaug.experiment.summary import comparison_of
from infaug.experiment.verdict import verdict
from infaug.randomness import generator

NUM_SOURCE = 300
NUM_JUDGES = 20_000
MEMBERS = 2  # of these four methods are averaged
DIMENSIONS = 50  # principal components of the pixels
# By method, simpler ones first: number of random features. The last one is "learned".
EQUAL = {"base": 100, "pooled": 100, "pooled_even": 100, "pooled_policy": 100}
UNEQUAL = {"base": 30, "pooled": 60, "pooled_even": 100, "pooled_policy": 150}


@dataclass(frozen=True)
class Images:
    """Principal components [N D] of images, and their labels [N]."""

    x: Tensor
    y: Tensor


def main() -> None:
    """Print a line for each setting."""
    args = parse()
    source, target = components(args.mnist)
    judges = Images(target.x[-NUM_JUDGES:], target.y[-NUM_JUDGES:])
    print(
        "| methods | images | folds | passes | gain, % | inside, % | above, % "
        "| better by | width | Wilson, % |"
    )
    print("|---" * 10 + "|", flush=True)
    settings = list(product(args.images, args.folds, args.passes))
    for methods, (num, folds, passes) in product((EQUAL, UNEQUAL), settings):
        found = []
        free = (len(target.x) - NUM_JUDGES) // num
        for number in range(args.experiments):
            mine = torch.arange(num) + num * (number % free)
            few = Images(target.x[mine], target.y[mine])
            numbers = generator(number, "experiment")
            fold = divided(num, folds, passes, numbers)
            found.append(experiment(methods, source, few, judges, fold, numbers))
        columns = zip(*found, strict=True)
        gain, inside, above, better, width, plain = (np.mean(c) for c in columns)
        kind = "equal" if methods is EQUAL else "unequal"
        print(
            f"| {kind} | {num} | {folds} | {passes} | {100 * gain:.1f} | "
            f"{100 * inside:.1f} | {100 * above:.1f} | {better:.1f} | {width:.0f} | "
            f"{100 * plain:.1f} |",
            flush=True,
        )


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mnist", required=True, help="a folder of Parquet")
    parser.add_argument("--experiments", type=int, default=500)
    parser.add_argument("--images", type=int, nargs="+", default=[30, 100])
    parser.add_argument("--folds", type=int, nargs="+", default=[3, 5])
    parser.add_argument("--passes", type=int, nargs="+", default=[1, 2])
    return parser.parse_args()


def components(folder: str) -> tuple[Images, Images]:
    """Source images as they are, and target images turned by 40 degrees."""
    whole = load(DataConfig(source=folder)).train
    assert isinstance(whole, Labelled), "MNIST fits into memory"
    order = torch.randperm(len(whole), generator=generator(0, "intervals"))
    images, y = whole.images[order].float() / 255, whole.labels[order]
    turned = torch.cat([rotate(part, 40) for part in images.split(1000)])
    mean = images.mean(0)
    pixels = turned[:5000].flatten(1).double()
    axes = torch.linalg.eigh(pixels.T.cov()).eigenvectors[:, -DIMENSIONS:].float()
    x, x_target = (((each - mean).flatten(1) @ axes) for each in (images, turned))
    scale = x_target.std()
    head = 10 * NUM_SOURCE
    return Images(x[:head] / scale, y[:head]), Images(x_target[head:] / scale, y[head:])


def experiment(
    methods: Mapping[str, int],
    source: Images,
    target: Images,
    judges: Images,
    fold: Tensor,
    numbers: torch.Generator,
) -> tuple[bool, bool, bool, float, float, bool]:
    """A line's columns: gain said, inside, above, better by, width, in Wilson's."""
    mine = torch.randperm(len(source.x), generator=numbers)[:NUM_SOURCE]
    source = Images(source.x[mine], source.y[mine])
    passes, num = fold.shape
    folds = int(fold.max()) + 1
    found = {}
    for name, size in methods.items():
        log_probs = torch.zeros(passes, num, 10)
        for p, k in product(range(passes), range(folds)):
            out = fold[p] == k
            seen = Images(target.x[~out], target.y[~out])
            head = train(size, source, seen, numbers)
            log_probs[p, out] = head(target.x[out])
        logs = log_probs.double().log_softmax(2).numpy()
        found[name] = OutOfFold(logs, target.y.numpy(), fold.numpy())
    made = answer(found, "pooled_policy", list(methods)[:-1], MEMBERS)
    tops = {name: dict.fromkeys(range(passes * folds), 0.0) for name in methods}
    word = verdict(tops, compare=comparison_of(found)).word
    finals = [train(methods[m], source, target, numbers) for m in made.members]
    probs = torch.stack([final(judges.x).softmax(1) for final in finals]).mean(0)
    truth = 100 * float((probs.argmax(1) == judges.y).double().mean())
    inside, above = made.low <= truth <= made.high, truth > made.high
    better, width = truth - made.accuracy, made.high - made.low
    hits = average([found[name] for name in made.members]).hit
    low, high = binomtest(int(hits.sum()), hits.size).proportion_ci(method="wilson")
    plain = 100 * low <= truth <= 100 * high
    return word == "gain", inside, above, better, width, plain


def divided(num: int, folds: int, passes: int, numbers: torch.Generator) -> Tensor:
    """The fold of each image in each pass, [R M]."""
    orders = [torch.randperm(num, generator=numbers) for _ in range(passes)]
    return torch.stack(orders) % folds


def train(size: int, source: Images, target: Images, numbers: torch.Generator):
    """Ridge regression of classes on random features, target images counting thrice."""
    weight = torch.randn(DIMENSIONS, size, generator=numbers) / 2
    bias = torch.randn(size, generator=numbers) / 2

    def features(x: Tensor) -> Tensor:
        return torch.cat([(x @ weight + bias).relu(), torch.ones(len(x), 1)], 1)

    x = features(torch.cat([source.x, target.x]))
    y = one_hot(torch.cat([source.y, target.y]), 10).float()
    w = torch.cat([torch.ones(len(source.x)), torch.full((len(target.x),), 3.0)])
    gram = (x * w[:, None]).T @ x + 3.0 * torch.eye(x.shape[1])
    solution = torch.linalg.solve(gram, (x * w[:, None]).T @ y)
    return lambda images: features(images) @ solution


if __name__ == "__main__":
    main()
