"""A finished run on images of its own, with all its books; nothing is trained."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from finished import LOSSES, finished_run, run_config
from PIL import Image
from safetensors.torch import save_file

from infaug.config import DataConfig, ShiftConfig, to_dict
from infaug.data.problem import divide
from infaug.data.source import load
from infaug.experiment.plan import resolve_config
from infaug.record.atomic import write_json
from infaug.record.folder import RunFolder

# A class may be called anything that a folder may.
HOSTILE = "<img src=x onerror=alert('1')>&\""
NAMES = (HOSTILE, "dog", "hen")
EACH = 14


def pictured_run(path: Path) -> Path:
    """`finished_run` whose images, metrics and timings are there as well."""
    images = path.with_name(path.name + "-images")
    draw_folder(images)
    run = finished_run(path)
    data = DataConfig(
        source=str(images), target=12, test=9, shift=ShiftConfig(rotate_deg=40)
    )
    requested = replace(run_config(), data=data)
    write_json(run / "asked.json", to_dict(requested))
    resolved = resolve_config(requested, (1, 16, 16), torch.device("cpu"))
    write_json(run / "config.json", to_dict(resolved))
    write_json(run / "data.json", load(resolved.data).identity)
    for method in LOSSES:
        for seed in range(2):
            training = run / "trainings" / f"{method}-seed{seed}"
            for name, lines in (("metrics", metrics()), ("timings", timings())):
                of_it = [x for x in lines if (x["method"], x["seed"]) == (method, seed)]
                _write_lines(training / f"{name}.jsonl", of_it)
            start = {"method": method, "seed": seed, "workers": 1, "after": None}
            _write_lines(training / "starts.jsonl", [start])
    return run


# By class of an image: the class that a method takes it for, and how surely.
CONFUSED = {0: (0, 0.95), 1: (1, 0.55), 2: (1, 0.75)}


def folded_run(path: Path) -> Path:
    """The same as an experiment of two folds; hens are taken for dogs by each F."""
    run = pictured_run(path)
    requested = RunFolder(run).config("asked.json")
    requested = replace(requested, data=replace(requested.data, folds=2))
    write_json(run / "asked.json", to_dict(requested))
    resolved = resolve_config(requested, (1, 16, 16), torch.device("cpu"))
    write_json(run / "config.json", to_dict(resolved))
    source = load(resolved.data)
    for seed in range(2):
        splits = divide(source, resolved.data, seed)
        probs = torch.full((len(splits.test), len(NAMES)), 0.05)
        for line, label in zip(probs, splits.test.labels.tolist(), strict=True):
            taken, sure = CONFUSED[label]
            line[:] = (1 - sure) / 2
            line[taken] = sure
        judged = {"index": splits.at.test, "labels": splits.test.labels}
        judged |= {"log_probs": probs.log()}
        for method in LOSSES:
            folder = RunFolder(run).training(method, seed).path
            save_file(judged, folder / "judged.safetensors")
    worth = {"method": "pooled_learned", "control": "base", "difference": -5.0}
    found = json.loads((run / "result.json").read_text()) | {
        "answer": {
            "method": "base", "members": ["base"],
            "accuracy": 66.7, "low": 51.0, "high": 79.4,
            "num_images": len(NAMES) * EACH,
            "learned_worth": {**worth, "low": -9.0, "high": -1.0},
        }
    }  # fmt: skip
    write_json(run / "result.json", found)
    return run


def unfinished_run(path: Path, finished: Path) -> Path:
    """The same run while its last training is still trained."""
    shutil.copytree(finished, path)
    (path / "result.json").unlink()
    (path / "report.html").unlink(missing_ok=True)
    training = path / "trainings" / "pooled_learned-seed1"
    for file in (*training.glob("*.safetensors"), training / "result.json"):
        file.unlink()
    with (training / "metrics.jsonl").open("a") as file:
        file.write('{"method": "pooled_lear')
    return path


def draw_folder(root: Path) -> None:
    """Class folders of noise, lighter from class to class."""
    noise = np.random.default_rng(0)
    for number, name in enumerate(NAMES):
        (root / name).mkdir(parents=True)
        for k in range(EACH):
            pixels = noise.integers(60 * number, 60 * number + 120, (16, 16))
            image = Image.fromarray(pixels.astype(np.uint8))
            image.save(root / name / f"{k:02d}.png")


def metrics() -> list[dict]:
    """Two rounds of every training, as `metrics.jsonl` has them."""
    lines = []
    for method in LOSSES:
        for seed in range(2):
            for round_ in range(2):
                at = {"method": method, "seed": seed, "round": round_}
                lines.append(
                    at
                    | {"phase": "classify", "step": 6, "loss": 2.0 / (1 + round_)}
                    | {"selection_loss": 1.0, "selection_top1": 60.0 + 10 * seed}
                )
                if "learned" in method and round_ == 0:
                    lines += [at | each for each in LEARNED]
    return lines


LEARNED = (
    {
        "phase": "refresh", "step": 1, "residual": 2e-4, "products": 11,
        "status": "converged after 11 products, residual 2e-04",
    },
    {
        "phase": "review", "step": 1, "saturation": 0.1, "field_saturation": 0.0,
        "accuracy": 0.9, "accuracy_aug": 0.3, "strength": 0.5,
        "suspected": "F is right on 30% of x_aug, on 90% of x",
    },
)  # fmt: skip


def timings() -> list[dict]:
    """What `timings.jsonl` says of them."""
    parts = {"own_seconds": 1.5, "views_seconds": 0.5, "memory_gib": 1.5}
    return [
        {"method": m["method"], "seed": m["seed"], "round": m["round"]}
        | {"phase": m["phase"], "step": m["step"], "steps": 1, "seconds": 2.0}
        | (parts if m["phase"] == "classify" else {"solve_seconds": 1.25})
        for m in metrics()
    ]


def _write_lines(path: Path, lines: list[dict]) -> None:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
