"""What a sweep will cost, problem by problem, before it begins."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil

from infaug.config import RunConfig
from infaug.experiment.sweep.plan import Sweep

CostOf = Callable[[RunConfig], float]


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Of one problem's trials."""

    trials: int
    """That come to it."""
    share: float
    """Of its steps that a trial takes, as far as the scheduler stops them."""
    one: float
    """What a trial of all steps costs."""

    @property
    def all(self) -> float:
        """What all of them cost."""
        return self.trials * self.share * self.one


def costs_of(problems: Sequence[Sweep], cost_of: CostOf) -> list[Cost]:
    """What every problem of a ladder costs, in the unit of `cost_of`."""
    found, trials = [], len(problems[0].names)
    for problem in problems:
        share, one = share_taken(problem), cost_of(problem.config)
        found.append(Cost(trials=trials, share=share, one=one))
        # The first settings go on in any case: at worst they are one more.
        trials = min(ceil(trials / problem.how.reduction) + 1, trials)
    return found


def share_taken(sweep: Sweep) -> float:
    """Of the steps of all trials, those that will be taken: an expectation.

    One trial in `reduction` goes on at each milestone. As the first ones to arrive
    cannot be compared with many, a small sweep takes more. Hyperband's brackets cost
    alike, and ASHA's only one is the first of them.
    """
    if sweep.how.scheduler not in ("asha", "hyperband"):
        return 1.0
    milestones, reduction = [*sweep.rungs, sweep.steps], sweep.how.reduction
    brackets = range(len(milestones) if sweep.how.scheduler == "hyperband" else 1)
    weights = [reduction**left / (left + 1) for left in range(len(milestones))][::-1]
    shares = [_of_bracket(milestones[k:], reduction) for k in brackets]
    weights = weights[: len(shares)]
    taken = sum(w * share for w, share in zip(weights, shares, strict=True))
    return taken / sum(weights)


def _of_bracket(milestones: Sequence[int], reduction: float) -> float:
    parts = [milestones[0], *(later - first for first, later in pairwise(milestones))]
    left = (part / reduction**k for k, part in enumerate(parts))
    return sum(left) / milestones[-1]


def work_of(config: RunConfig) -> float:
    """Pixels that F is trained on: what a training costs, without a measured speed.

    What the images decide, such as their size, counts as one.
    """
    f, rounds, size = config.classifier, config.rounds, config.data.image_size or 1
    steps = rounds.rounds * rounds.classifier_steps
    return steps * (f.batch_size or 1) * f.views * size**2
