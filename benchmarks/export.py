"""How fast is a batch augmented, against torchvision's affine map and colour jitter?

    python benchmarks/export.py                  # table
    python benchmarks/export.py --json           # one line

RandomAffine (bilinear) and ColorJitter draw once for a call, so for views of their own
the images of a batch go through them one by one; the same pair on the whole batch at
once, with one view for all, is timed beside it. LearnedAugment draws for each image and
does it in one call; and image by image, as in a DataLoader's workers. All take turns;
medians, and of ratios the median of paired turns.
"""

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
import tyro
from torch import Tensor
from torchvision.transforms import InterpolationMode, v2

from infaug.config import EstimatorConfig, TransformConfig
from infaug.estimate.learned_transform import build_transform
from infaug.export import LearnedAugment
from infaug.export.view import GeneratorViews


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is timed."""

    sizes: tuple[int, ...] = (32, 224)
    """Sides of the images, pixels."""
    batch: int = 128
    """Images in a batch; an eighth of it above 64 px."""
    channels: int = 3
    """1 or 3."""
    device: str = "cpu"
    """cpu or cuda."""
    threads: int = 1
    """Of torch, on the CPU."""
    repeats: int = 9
    """Turns that each takes."""
    json: bool = False
    """Print one line of JSON and nothing else."""


def main(settings: Settings) -> None:
    """Print a line for each size."""
    torch.set_num_threads(settings.threads)
    found = [measure(settings, size) for size in settings.sizes]
    if settings.json:
        print(json.dumps({"benchmark": "export", "sizes": found}))
        return
    print(f"images a second, {settings.device}, {settings.threads} thread(s)")
    for line in found:
        print("  ".join(f"{key} {value:,.4g}" for key, value in line.items()))


def measure(settings: Settings, size: int) -> dict[str, float]:
    """Images a second of each, and how many times as fast the learned one is."""
    num = settings.batch if size <= 64 else max(settings.batch // 8, 1)
    x = torch.rand(num, settings.channels, size, size, device=settings.device)
    augment = learned(settings, size)
    methods = {
        "learned": augment,
        "learned_one_by_one": lambda x: torch.stack([augment(image) for image in x]),
        "one_by_one": one_by_one,
        "one_view_for_all": JITTER,
    }
    seconds: dict[str, list[float]] = {name: [] for name in methods}
    for turn in range(settings.repeats + 1):
        for name, method in methods.items():
            taken = timed(method, x)
            if turn:  # the first is for warming up
                seconds[name].append(taken)
    rates = {name: num / statistics.median(taken) for name, taken in seconds.items()}
    pairs = zip(seconds["one_by_one"], seconds["learned"], strict=True)
    ratio = statistics.median(other / own for other, own in pairs)
    return {"size": size, "batch": num, **rates, "times_as_fast": ratio}


def learned(settings: Settings, size: int) -> Callable[[Tensor], Tensor]:
    """E and G as a run begins with: weights make no difference to the time."""
    transform = build_transform(TransformConfig(), settings.channels, size, size, 0)
    views = GeneratorViews(transform, EstimatorConfig())
    return LearnedAugment(views).to(settings.device)


JITTER = v2.Compose(
    [
        v2.RandomAffine(
            (-20, 20),
            (0.1, 0.1),
            (0.8, 1.2),
            10,
            interpolation=InterpolationMode.BILINEAR,
        ),
        v2.ColorJitter(0.4, 0.4),
    ]
)


def one_by_one(x: Tensor) -> Tensor:
    """Every image with random numbers of its own."""
    return torch.stack([JITTER(image) for image in x])


def timed(method: Callable[[Tensor], Tensor], x: Tensor) -> float:
    """Seconds of one call, until the device is done."""
    started = time.perf_counter()
    method(x)
    if x.is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - started


if __name__ == "__main__":
    main(tyro.cli(Settings))
