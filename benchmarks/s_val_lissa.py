"""LiSSA against the LiSSA of other libraries, by the step."""

import statistics
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from paired import ratio, take_turns, timed
from s_val_problem import MOST, hessian, residual
from s_val_rivals import LISSA, Problem, missing

from infaug.influence.lissa import lissa
from infaug.influence.operator import Damped
from infaug.influence.recursion import find_scale

LISSA_STEPS, LISSA_BATCH = 2_000, 256
RIVAL_STEPS = 200  # enough to time a step


def compare_lissa(
    problem: Problem, rivals: Sequence[str], repeats: int
) -> dict[str, Any]:
    """Seconds per step, and the residual after LISSA_STEPS with no scale given."""
    operator = Damped(hessian(problem), problem.damping)
    ours = partial(
        lissa,
        operator,
        problem.gradient,
        seed=("benchmark",),
        rtol=1e-2,
        max_products=MOST,
        batch_size=LISSA_BATCH,
        num_repeats=1,
        num_steps=LISSA_STEPS,
    )
    scale = find_scale(
        operator, problem.gradient, seed=("benchmark",), batch_size=LISSA_BATCH
    )
    acts: dict[str, Callable[[], Any]] = {"infaug": ours}
    for name, (module, run) in LISSA.items():
        if name in rivals and not missing(module):
            acts[name] = partial(run, problem, RIVAL_STEPS, scale)
    steps = dict.fromkeys(acts, RIVAL_STEPS) | {"infaug": LISSA_STEPS}
    turns = take_turns({name: timed(act) for name, act in acts.items()}, repeats)
    seconds = {name: [s / steps[name] for s in found] for name, found in turns.items()}
    return {
        "residual": residual(problem, ours().value),
        "steps": LISSA_STEPS,
        "us_per_step": {n: 1e6 * statistics.median(v) for n, v in seconds.items()},
        "ratios": {
            f"{name}/infaug": ratio(seconds[name], seconds["infaug"])
            for name in seconds
            if name != "infaug"
        },
    }
