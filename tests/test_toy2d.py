"""Figure 3 of the ICLR 2019 submission, as claims."""

import runpy
from pathlib import Path
from statistics import mean

import torch
from torch.nn.functional import normalize

JOB = runpy.run_path(str(Path(__file__).parent.parent / "ray_jobs" / "toy2d.py"))
learn, overlapping, moved_down, validation_loss, draw = (
    JOB[name]
    for name in (
        "learn_translations", "overlapping", "moved_down", "validation_loss", "draw",
    )
)  # fmt: skip


def aim(row) -> float:
    """How far tau points at the nearest missed point of the class: cosine, -1 to 1."""
    points, along, lengths = row.points, [], []
    for label in points.val_labels[row.missed].unique():
        goals = points.val[row.missed & (points.val_labels == label)]
        own = points.train_labels == label
        start, tau = points.train[own], (row.moved - points.train)[own]
        way = goals[torch.cdist(start, goals).argmin(dim=1)] - start
        along.append((tau * normalize(way, dim=1)).sum(dim=1))
        lengths.append(tau.norm(dim=1))
    return float(torch.cat(along).sum() / torch.cat(lengths).sum())


def test_tau_points_at_the_validation_points_that_are_missed():
    aims = [aim(learn(overlapping(seed), seed)) for seed in range(3)]
    assert min(aims) > 0
    assert mean(aims) > 0.5


def test_tau_follows_a_shift_of_validation_and_the_loss_falls(tmp_path):
    for seed in range(2):
        row = learn(moved_down(seed), seed)
        tau = row.moved - row.points.train
        # Class 0 is what the shift carries over the border.
        assert tau[row.points.train_labels == 0, 1].mean() < -0.5
        before, after = (
            validation_loss(f, row.points) for f in (row.before, row.after)
        )
        assert after < before / 2
    draw([("row", row)], tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 10_000
