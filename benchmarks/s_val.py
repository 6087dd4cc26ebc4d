"""How fast is s_val, against other libraries on the same problem?

    python benchmarks/s_val.py --sizes a b --threads 1 2    # table
    python benchmarks/s_val.py --json                       # one line at the end

Every solver gets features, head and labels, and must leave a residual of 1e-3 or less,
checked in float64; each tolerance is first lowered until it does. They take turns,
`repeats` times; the median is reported, and of each ratio the interval that holds its
median with 95 % (order statistics). The floor is as many pairs of matrix products as
CG spent, of the same shapes, dtype and threads. Peak memory is that of a process of its
own beyond its imports, features included. At size a LiSSA is compared too, per step.

Problems are drawn: ReLU features with a spectrum i^-1/2, |h|^2 about 8, logits of
standard deviation 4. Rivals that are not installed are left out, with the reason.
"""

import json
import math
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch
import tyro
from memory import forget_peak, peak, resident
from paired import ratio, take_turns, timed
from s_val_lissa import compare_lissa
from s_val_problem import MOST, RTOL, build, hessian, residual
from s_val_rivals import CG, Problem, missing

from infaug.config import InfluenceConfig
from infaug.influence.conjugate import cg
from infaug.influence.operator import Damped, Solution
from infaug.influence.solve import solve

TRIES = 12  # at the tolerance of a rival
LOOSEST = 64  # times RTOL: some test another norm and would do too much at RTOL


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is timed."""

    sizes: tuple[str, ...] = ("a", "b", "c")
    """a: N 10k D 64 Y 10; b: N 20k D 512 Y 100; c: N 10k D 2048 Y 1000."""
    dampings: tuple[float, ...] = (1e-3, 1e-5)
    """The smaller ones at b only."""
    threads: tuple[int, ...] = (1, 2)
    """Threads of every solver."""
    repeats: int = 7
    """Turns that each solver takes."""
    json: bool = False
    """Print one line of JSON and nothing else."""
    rivals: tuple[str, ...] = tuple(CG)
    """Which to compare with."""
    peak: str = ""
    """Internal: print the peak memory of this one solver and end."""


def infaug_cg(problem: Problem) -> Solution:
    """Plain conjugate gradients."""
    operator = Damped(hessian(problem), problem.damping)
    return cg(operator, problem.gradient, rtol=RTOL, max_products=MOST)


def infaug_default(problem: Problem) -> Solution:
    """What a refresh would do without a start."""
    config = InfluenceConfig(damping=problem.damping, rtol=RTOL, max_products=MOST)
    return solve(hessian(problem), problem.gradient, config, None)


def floor(problem: Problem, num_products: int) -> None:
    """The matrix products alone, into buffers that are there already."""
    h1, v = problem.h1, problem.gradient
    slopes, result = h1.new_empty(len(h1), len(v)), torch.empty_like(v)
    for _ in range(num_products):
        torch.mm(h1, v.T, out=slopes)
        torch.mm(slopes.T, h1, out=result)


def solvers(
    problem: Problem, rivals: tuple[str, ...], residuals: dict[str, float]
) -> dict[str, Callable[[], Any]]:
    """Everything that is timed, each made to reach RTOL; fills `residuals`."""
    first = infaug_cg(problem)
    residuals["infaug_cg"] = residual(problem, first.value)
    residuals["infaug"] = residual(problem, infaug_default(problem).value)
    acts: dict[str, Callable[[], Any]] = {
        "floor": partial(floor, problem, first.num_products),
        "infaug_cg": partial(infaug_cg, problem),
        "infaug": partial(infaug_default, problem),
    }
    for name in rivals:
        tolerance, products = LOOSEST * RTOL, first.num_products - 2
        run = CG[name][1]
        for _ in range(TRIES):
            residuals[name] = residual(problem, run(problem, tolerance, products))
            if residuals[name] <= RTOL:
                break
            tolerance, products = 0.5 * tolerance, math.ceil(1.1 * products)
        acts[name] = partial(run, problem, tolerance, products)
    return acts


def peak_gib(size: str, damping: float, threads: int, name: str) -> float:
    """Peak memory of one solver, in a process of its own."""
    command = [sys.executable, __file__, "--sizes", size, "--dampings", str(damping)]
    command += ["--threads", str(threads), "--peak", name]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def print_peak(settings: Settings) -> None:
    """Peak memory above the imports; products are few, memory does not grow by more."""
    name, damping = settings.peak, settings.dampings[0]
    tiny = Problem(
        torch.randn(300, 3),
        torch.zeros(4, 3),
        torch.arange(300) % 4,
        torch.randn(4, 3),
        damping,
    )
    runs: dict[str, Callable[[Problem], Any]] = {
        "infaug_cg": infaug_cg,
        "infaug": infaug_default,
    }
    if name in CG:
        runs[name] = lambda problem: CG[name][1](problem, 0.1, 3)
    runs[name](tiny)  # imports and first-use workspaces
    before = resident()
    problem = build(settings.sizes[0], damping)
    forget_peak()
    runs[name](problem)
    print((peak() - before) / 2**30)


def compare(settings: Settings, size: str, damping: float, threads: int) -> dict:
    """One row of the table."""
    torch.set_num_threads(threads)
    problem = build(size, damping)
    rivals = tuple(name for name in settings.rivals if not missing(CG[name][0]))
    residuals: dict[str, float] = {}
    acts = solvers(problem, rivals, residuals)
    seconds = take_turns({n: timed(act) for n, act in acts.items()}, settings.repeats)
    median = {name: statistics.median(values) for name, values in seconds.items()}
    best = min(rivals, key=lambda name: median[name], default=None)
    ratios = {"infaug_cg/floor": ratio(seconds["infaug_cg"], seconds["floor"])}
    for name in rivals:
        ratios[f"{name}/infaug"] = ratio(seconds[name], seconds["infaug"])
    row = {
        "size": size,
        "damping": damping,
        "threads": threads,
        "floor_s": median["floor"],
        "infaug_cg_s": median["infaug_cg"],
        "infaug_s": median["infaug"],
        "rivals": {name: median[name] for name in rivals},
        "best_rival": best,
        "residuals": residuals,
        "peak_gib": {
            name: peak_gib(size, damping, threads, name)
            for name in ("infaug_cg", "infaug", *rivals)
        },
        "ratios": ratios,
        "skipped": {n: why for n in settings.rivals if (why := missing(CG[n][0]))},
    }
    if size == "a":
        row["lissa"] = compare_lissa(problem, settings.rivals, settings.repeats)
    return row


def show(row: dict[str, Any]) -> None:
    """One row for people."""
    print(f"\nsize {row['size']}  damping {row['damping']:g}  threads {row['threads']}")
    print(f"  {'floor':<12} {row['floor_s']:9.4f} s")
    names = ["infaug_cg", "infaug", *row["rivals"]]
    seconds = {"infaug_cg": row["infaug_cg_s"], "infaug": row["infaug_s"]}
    for name in names:
        print(
            f"  {name:<12} {(seconds | row['rivals'])[name]:9.4f} s   residual "
            f"{row['residuals'][name]:.1e}   peak {row['peak_gib'][name]:.3f} GiB"
        )
    for name, (middle, low, high) in row["ratios"].items():
        print(f"  {name:<20} {middle:7.2f}   95 % interval {low:.2f} to {high:.2f}")
    for name, why in row["skipped"].items():
        print(f"  {name}: skipped, {why}")
    if "lissa" in row:
        found = row["lissa"]
        print(f"  LiSSA, {found['steps']} steps: residual {found['residual']:.1e}")
        for name, value in found["us_per_step"].items():
            print(f"    {name:<12} {value:9.1f} us a step")
        for name, (middle, low, high) in found["ratios"].items():
            print(f"    {name:<18} {middle:7.2f}   {low:.2f} to {high:.2f}")


def main(settings: Settings) -> None:
    """Every size, damping and number of threads."""
    if settings.peak:
        torch.set_num_threads(settings.threads[0])
        print_peak(settings)
        return
    rows = []
    for size in settings.sizes:
        for damping in settings.dampings:
            if damping < 1e-3 and size != "b":
                continue
            for threads in settings.threads:
                rows.append(compare(settings, size, damping, threads))
                if not settings.json:
                    show(rows[-1])
                    sys.stdout.flush()
    print(json.dumps({"settings": asdict(settings), "rows": rows}))


if __name__ == "__main__":
    main(tyro.cli(Settings))
