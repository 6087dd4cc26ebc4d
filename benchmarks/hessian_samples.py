"""How many images does the Hessian of a refresh need?

Trains F on a whole data set, solves for S with every view of every training image, then
with samples of n images, and prints the Pearson correlation of the scores of all
training images. `InfluenceConfig.hessian_samples` follows it.

    python benchmarks/hessian_samples.py --data FOLDER --labels 59000
"""

import json
import time
from dataclasses import dataclass, replace

import torch
import tyro

from infaug.config import ClassifierConfig, DataConfig, Network, RunConfig
from infaug.data.problem import load_splits
from infaug.experiment.plan import resolve_config
from infaug.influence.conjugate import cg
from infaug.influence.hessian import LastLayerHessian
from infaug.influence.kronecker import KroneckerInverse
from infaug.influence.operator import Damped
from infaug.precision import pick_device
from infaug.randomness import generator
from infaug.training.alternation import classify
from infaug.training.methods import METHODS
from infaug.training.snapshot import shared_inputs, validation_gradient
from infaug.training.solve import hessian_sample, scores, take_snapshot
from infaug.training.state import Training
from infaug.world import World


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is measured."""

    data: str
    """As `infaug fit --data`."""
    labels: float | None = None
    """Training images; None: all that are left."""
    target: int = 1000
    """Images held out, of which 70 % drive the influence."""
    network: Network = "auto"
    """F."""
    steps: int = 300
    """Of F, 128 images in two views each."""
    dampings: tuple[float, ...] = (1e-2, 1e-3)
    """Tried one by one."""
    samples: tuple[int, ...] = (300, 600, 1250, 2500, 5000)
    """Images in the Hessian."""
    repeats: int = 3
    """Samples drawn of each size; the least correlation is printed."""


def main(settings: Settings) -> None:
    """Train, solve in full, solve with samples."""
    config = RunConfig(
        data=DataConfig(
            source=settings.data, labels=settings.labels, target=settings.target
        ),
        classifier=ClassifierConfig(network=settings.network, batch_size=128),
    )
    splits, device = load_splits(config.data), pick_device()
    config = resolve_config(config, splits.train.image_shape, device)
    config = replace(
        config, rounds=replace(config.rounds, rounds=1, classifier_steps=settings.steps)
    )
    training = Training(METHODS["base_learned"], 0, splits, config, World(), device)
    whole = replace(config.influence, hessian_samples=None)
    train = hessian_sample(training.train, whole, world=World())
    *_, last = classify(training, 0, range(settings.steps), splits.selection)
    training.classifier.eval()
    print(dict(last), flush=True)
    began = time.perf_counter()
    snapshot = take_snapshot(
        training.classifier,
        training.augments,
        config.influence,
        0,
        "full",
        start=training.s_val,
    )
    gradient = validation_gradient(snapshot, splits.influence)
    views = [
        shared_inputs(snapshot, train, World(), view)
        for view in range(len(training.augments))
    ]
    seconds = time.perf_counter() - began
    print(f"{len(training.train)} images forwarded: {seconds:.0f} s")
    h1 = torch.cat([h1 for h1, _ in views])
    probs = torch.cat([p for _, p in views])
    labels = training.train.labels.repeat(len(views))
    rows, k = [], len(views)
    for damping in settings.dampings:
        full = scores(_solve(h1, probs, gradient, damping), h1, probs, labels)
        for num in settings.samples:
            for kind in ("all views", "one view each"):
                found, forwards = [], num * (k if kind == "all views" else 1)
                for repeat in range(settings.repeats):
                    rng = generator("samples", num, repeat)
                    order = torch.randperm(len(training.train), generator=rng)[:num]
                    picked = _picked(kind, order, len(training.train), len(views))
                    s_val = _solve(h1[picked], probs[picked], gradient, damping)
                    part = scores(s_val, h1, probs, labels)
                    found.append(float(torch.corrcoef(torch.stack([full, part]))[0, 1]))
                row = {"damping": damping, "images": num, "kind": kind}
                row |= {"forwards": forwards, "pearson": round(min(found), 5)}
                rows.append(row)
                print(row, flush=True)
    print(json.dumps({"rows": rows}))


def _picked(kind, order, num_images, num_views):
    """Rows of these images among those of all views, one view after another."""
    if kind == "all views":
        return torch.cat([order + num_images * view for view in range(num_views)])
    return order + num_images * (torch.arange(len(order)) % num_views)


def _solve(h1, probs, gradient, damping):
    hessian = LastLayerHessian(h1, probs)
    inverse = KroneckerInverse(hessian.factor_sums(), damping)
    return cg(
        Damped(hessian, damping),
        gradient,
        preconditioner=inverse,
        rtol=1e-4,
        max_products=500,
    ).value


if __name__ == "__main__":
    main(tyro.cli(Settings))
