"""What a policy over operations learned: how often it draws which, and how strong."""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from markupsafe import Markup
from matplotlib.axes import Axes
from torch import Tensor

from infaug.estimate.policy import usable_operations
from infaug.record.folder import RunFolder
from infaug.report.experiment_data import ExperimentData
from infaug.report.svg import VAR, as_svg
from infaug.training.methods import POLICY_FROM
from infaug.transform.operations import WITHOUT_STRENGTH
from infaug.words import plural

ROW_HEIGHT = 15  # units


def learned_policy(experiment: ExperimentData) -> Mapping[str, Any]:
    """The heat map of operations and strengths, mean over seeds."""
    config, seeds = experiment.config.policy, experiment.found[POLICY_FROM]
    channels = experiment.images["image shape"][0]
    names = usable_operations(config.operations, channels)
    folder = RunFolder(experiment.path)
    weights = [folder.weights(POLICY_FROM, seed, "policy") for seed in seeds]
    logits = torch.stack([each["logits"] for each in weights])
    # Over seeds and positions; operations by strengths are left.
    shares = logits.softmax(dim=2).mean(dim=(0, 1)).unflatten(0, (len(names), -1))
    order = shares.sum(dim=1).argsort(descending=True).tolist()
    return {
        "chart": draw_policy([names[k] for k in order], shares[order]),
        "num_draws": config.num_draws,
        "uniform": f"{1 / len(names):.1%}",
        "seeds": plural(len(seeds), "seed"),
    }


def draw_policy(names: list[str], shares: Float[Tensor, "O S"]) -> Markup:
    """A row for each operation, a field for each interval of strengths."""
    totals = shares.sum(dim=1).tolist()
    labels = [f"{name} {of:.0%}" for name, of in zip(names, totals, strict=True)]
    num, largest = shares.shape[1], float(shares.max())

    def draw(axes: Axes) -> None:
        for y, (name, row) in enumerate(zip(names, shares.tolist(), strict=True)):
            is_even = name in WITHOUT_STRENGTH
            fields = [sum(row) / num] * num if is_even else row
            for k, share in enumerate(fields):
                axes.barh(
                    y, 2 / num, 0.9, left=2 * k / num - 1, color=VAR["blue"],
                    alpha=min(share / largest, 1.0), linewidth=0,
                )  # fmt: skip
        axes.set_yticks(range(len(names)), labels)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set(xlim=(-1, 1), xlabel="strength, as a share of the operation's range")

    label = f"How often each operation is drawn: {', '.join(labels)}."
    return as_svg(label, draw, 60 + ROW_HEIGHT * len(names))
