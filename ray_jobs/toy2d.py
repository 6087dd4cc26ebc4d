"""The method on points in the plane: Figure 3 of the ICLR 2019 submission.

Method 1: training and validation points of one distribution; tau points at the
validation points that F gets wrong. Method 2: validation moved down; tau follows.
Seconds on one CPU core, no data needed. `--seeds` adds repetitions: how well tau aims
at the missed points, and how well it does when they are taken out of the validation
set.

    python ray_jobs/toy2d.py --out docs/figures/toy2d.png
"""

from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean

import torch
import tyro

from infaug.data.toy2d import moved_down, overlapping
from infaug.report.toy2d import draw_toy
from infaug.toy2d import learn_translations, validation_loss


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Where the figure goes."""

    out: Path = Path("docs/figures/toy2d.png")
    """PNG to write."""
    seed: int = 0
    """Seed of points and networks in the figure."""
    seeds: int = 0
    """Repetitions of row 1, seeds 0 .. seeds - 1, to measure where tau points."""


def main(settings: Settings) -> None:
    """Learn both rows, draw them, print the validation losses."""
    draw(settings.seed, settings.out)
    if settings.seeds:
        measure(settings.seeds)


def draw(seed: int, out: Path) -> None:
    """Both rows of the figure, and their losses."""
    points = {
        "1. one distribution": overlapping(seed),
        "2. validation moved down": moved_down(seed),
    }
    rows = [(name, learn_translations(p, seed)) for name, p in points.items()]
    out.parent.mkdir(parents=True, exist_ok=True)
    draw_toy(rows, out)
    for name, result in rows:
        before, after = (
            validation_loss(f, result.points) for f in (result.before, result.after)
        )
        print(f"{name}: validation loss {before:.3f} -> {after:.3f} nats")
    print(out)


def measure(seeds: int) -> None:
    """Where tau points in row 1, beside two controls: see what is printed."""
    with_missed, without, straight, losses = [], [], [], []
    for seed in range(seeds):
        result = learn_translations(overlapping(seed), seed)
        missed = result.missed
        if not missed.any():
            continue
        blind = learn_translations(result.points.without(missed), seed)
        with_missed.append(result.aim(missed))
        without.append(replace(blind, points=result.points).aim(missed))
        side = 1 - 2 * result.points.train_labels[:, None]
        over = result.points.train_points + side * torch.tensor([1.0, -1.0])
        straight.append(replace(result, moved=over).aim(missed))
        losses.append(
            [validation_loss(f, result.points) for f in (result.before, result.after)]
        )
        print(f"seed {seed}: {with_missed[-1]:+.2f}, without {without[-1]:+.2f}")
    before, after = (mean(column) for column in zip(*losses, strict=True))
    print(
        f"tau at the missed points, mean cosine: {mean(with_missed):.2f}; "
        f"learned without them {mean(without):.2f}; all points moved straight over "
        f"y = x {mean(straight):.2f}; {len(losses)} seeds\n"
        f"validation loss {before:.3f} -> {after:.3f}, lower in "
        f"{sum(b < a for a, b in losses)} of {len(losses)}"
    )


if __name__ == "__main__":
    main(tyro.cli(Settings))
