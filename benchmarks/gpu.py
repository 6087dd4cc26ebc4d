"""A step of ResNet-50 on one GPU, against a plain compiled loop in the same run.

    python benchmarks/gpu.py --data FOLDER          # a GPU: batch 256 x 2 views
    python benchmarks/gpu.py --problem allconv --steps 1    # anywhere, to try it

Both train on the same synthetic images, in bfloat16 where it is fast and channels_last;
with --data, Parquet of photographs, infaug trains on a stream of these as well. They
take turns; medians of the paired ratios. Then what the learned view costs over the base
one, what E and G take of a round, a refresh of s_val over 2,500 images of 2,048
features and 1,000 classes, and peak memory. Printed as one JSON object.
"""

import argparse
import json
import math
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from statistics import median

import torch
from paired import ratio, take_turns
from scale_steps import ENDLESS, PROBLEMS, Problem, plain_classifier, plain_step

from infaug.augment.base import build_base
from infaug.classify.fit import build_optimizer, fit_classifier
from infaug.config import DataConfig, InfluenceConfig, RunConfig
from infaug.data.dataset import to_float
from infaug.data.problem import Splits, load_splits
from infaug.influence.hessian import LastLayerHessian
from infaug.influence.score import with_bias
from infaug.influence.solve import resolve_solver, solve
from infaug.precision import pick_device
from infaug.randomness import RandomNumbers, generator
from infaug.training.alternation import estimate
from infaug.training.methods import METHODS
from infaug.training.state import Training
from infaug.world import World

FLOPS_AN_IMAGE = 3 * 2 * 4.1e9  # ResNet-50 at 224 px, forward and backward
PEAK_FLOPS = {"A10G": 70e12, "A100": 312e12, "H100": 989e12, "H200": 989e12}


def config_of(problem: Problem) -> RunConfig:
    """As a training has it, compiled where that pays."""
    config, on_gpu = problem.config, pick_device().type == "cuda"
    return replace(config, classifier=replace(config.classifier, compile=on_gpu))


def training_of(problem: Problem, method: str, splits: Splits) -> Training:
    """One that trains on the method's views."""
    config, device = config_of(problem), pick_device()
    return Training(METHODS[method], 0, splits, config, World(), device)


def streamed(problem: Problem, folder: str) -> Splits:
    """Photographs that are decoded while F trains, in the size of the problem's."""
    channels, size, _ = problem.shape
    data = DataConfig(
        source=folder, image_size=size, mode="RGB" if channels == 3 else "L",
        stream_above_gib=0, target=0.1, test=0.1,
    )  # fmt: skip
    return load_splits(data)


def refresh_s(num: int = 2500, features: int = 2048, classes: int = 1000) -> float:
    """Median seconds to solve for s_val, by the solver that a run would take."""
    device, rng = pick_device(), generator("benchmark of a refresh")
    h1 = with_bias(torch.randn(num, features, generator=rng).relu_())
    head = torch.randn(classes, features + 1, generator=rng) / math.sqrt(features)
    b = torch.randn(head.shape, generator=rng)
    b = (b - b.mean(0)).to(device)
    hessian = LastLayerHessian(h1.to(device), (h1 @ head.T).softmax(1).to(device))
    config = InfluenceConfig()
    config = replace(config, solver=resolve_solver(config, device))
    solutions = (solve(hessian, b, config, torch.zeros_like(b)) for _ in range(6))
    return median(seconds(solutions, 1) for _ in range(6))


def steps_of(training: Training) -> Iterator[object]:
    """Views of a batch and a step of F on them, as in a round."""
    return fit_classifier(
        training.classifier, training.optimizers["classifier"], training.views_at,
        range(ENDLESS), training.config.classifier, num_steps=ENDLESS, world=World(),
    )  # fmt: skip


def plain_steps(problem: Problem) -> Iterator[object]:
    """The same network, batch, optimizer, views and format, by hand."""
    config, device = config_of(problem), pick_device()
    settings, train = config.classifier, problem.images().to(device)
    model = plain_classifier(problem, train).to(device)
    if settings.compile:
        model.compile()
    optimizer = build_optimizer(model, settings)
    base, size = build_base(config.rounds.base), settings.batch_size
    rng = RandomNumbers.of_size(size, "plain", device=device)
    while True:
        at = torch.randint(len(train), (size,), device=device)
        x, y = to_float(train.images[at]), train.labels[at]
        views = [base(x, rng), base(x, rng)]
        yield plain_step(model, optimizer, views, y, settings)


def seconds(steps: Iterator[object], count: int) -> float:
    """Of so many steps, with all that they queued."""
    began = time.perf_counter()
    list(islice(steps, count))
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - began


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problem", default="resnet50", choices=PROBLEMS)
    parser.add_argument("--data", help="folder of Parquet that is streamed")
    parser.add_argument("--steps", type=int, default=20, help="of a turn")
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    problem, count = PROBLEMS[given.problem], given.steps
    splits = problem.splits()
    learned = training_of(problem, "base_learned", splits)
    ways = {
        "plain": plain_steps(problem),
        "base": steps_of(training_of(problem, "base", splits)),
        "learned": steps_of(learned),
    }
    if given.data:
        stream = streamed(problem, given.data)
        ways["streamed"] = steps_of(training_of(problem, "base", stream))
    for steps in ways.values():
        seconds(steps, 2)  # Compiles.
    timed = {n: lambda s=s: seconds(s, count) for n, s in ways.items()}
    found = take_turns(timed, given.repeats)
    of_e = seconds(iter(estimate(learned, 0, range(count))), count)
    images = 2 * problem.batch_size * count
    rates = {name: images / min(took) for name, took in found.items()}
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    peak = next((f for kind, f in PEAK_FLOPS.items() if kind in name), None)
    print(json.dumps({
        "device": name,
        "images_a_second": {way: round(rate, 1) for way, rate in rates.items()},
        "mfu": peak and round(rates["base"] * FLOPS_AN_IMAGE / peak, 3),
        "plain_over_base_s": ratio(found["plain"], found["base"]),
        "learned_over_base_s": ratio(found["learned"], found["base"]),
        "e_over_base_s": round(of_e / min(found["base"]), 3),
        "refresh_s": round(refresh_s(), 3),
        "peak_gib": torch.cuda.max_memory_allocated() / 2**30,
    }))  # fmt: skip


if __name__ == "__main__":
    main()
