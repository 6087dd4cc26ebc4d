"""What a sweep will cost, problem by problem, before it begins."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil

import numpy as np

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
        share, one = share_taken(problem, trials), cost_of(problem.config)
        found.append(Cost(trials=trials, share=share, one=one))
        # The first settings go on in any case: at worst they are one more.
        trials = min(ceil(trials / problem.how.reduction) + 1, trials)
    return found


def share_taken(sweep: Sweep, trials: int) -> float:
    """Of the steps of so many trials, those that will be taken: an expectation.

    One trial in `reduction` goes on at each milestone, and one of all in any case. As
    the first ones to arrive cannot be compared with many, a small sweep takes more.
    Hyperband's brackets cost alike, and ASHA's only one is the first of them.
    """
    if sweep.how.scheduler not in ("asha", "hyperband"):
        return 1.0
    milestones, reduction = [*sweep.rungs, sweep.steps], sweep.how.reduction
    skipped = range(len(milestones) if sweep.how.scheduler == "hyperband" else 1)
    shares = [_of_bracket(milestones[k:], reduction, trials) for k in skipped]
    weights = [bracket_weight(len(milestones) - 1 - k, reduction) for k in skipped]
    return float(np.average(shares, weights=weights))


def bracket_weight(num_milestones: int, reduction: float) -> float:
    """The part of all trials that go to a bracket of Hyperband, up to a factor.

    Brackets so weighted cost alike (Li et al., JMLR 2018, algorithm 1).
    """
    return reduction**num_milestones / (num_milestones + 1)


def _of_bracket(milestones: Sequence[int], reduction: float, trials: int) -> float:
    parts = [milestones[0], *(later - first for first, later in pairwise(milestones))]
    going = [max(reduction**-k, 1 / trials) for k in range(len(parts))]
    taken = sum(part * share for part, share in zip(parts, going, strict=True))
    return taken / milestones[-1]


def work_of(config: RunConfig, whole: RunConfig) -> float:
    """The pixels that F is trained on, as a part of those of another training.

    Sizes that the images decide are taken to be alike.
    """
    sizes = [each.data.image_size or 0 for each in (config, whole)]
    area = (sizes[0] / sizes[1]) ** 2 if all(sizes) else 1.0
    return area * _views(config) / _views(whole)


def _views(config: RunConfig) -> int:
    f, rounds = config.classifier, config.rounds
    return rounds.rounds * rounds.classifier_steps * (f.batch_size or 1) * f.views
