"""`infaug fit`, and what files in ray_jobs do with their own defaults."""

import json
import sys
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import tyro

from infaug.cache import cache_folder
from infaug.cli.flags import look_for_data, parse_run, short_help
from infaug.cli.terminal import guarded
from infaug.config import RunConfig
from infaug.count_range import CountRange


@dataclass(frozen=True, kw_only=True)
class Fit:
    """Train a classifier, learn an augmentation for it, and compare with controls.

    --target PATH holds a few labelled images of where the classifier will be used. They
    (without it, all images) are divided into folds, each judged by classifiers that did
    not see it. The answer names the best method, and up to five that are hardly worse
    (--members), the accuracy of their average, and what learning was worth; they are
    then trained on all images. Rerun the command to continue an experiment. The last
    line printed is RESULT and a JSON object.
    """

    out: str = "runs/fit"
    """Run folder: new, empty, or that of this very run. With s3://, gs:// or another
    URL the run is kept there, and any machine can continue it."""
    config: Path | None = None
    """A config.json of another run to start from; flags given beside it win."""
    jobs: int = 0
    """Trainings done at a time on this machine, each in a process of its own; 0: one
    for each core while the network is small. Makes no difference to the result."""
    workers: str = "0"
    """N or MIN..MAX Ray workers that train together, as many as the cluster has
    CPUs for; 0 trains in this process without Ray."""
    gpus_per_worker: float | None = None
    """Beside one CPU; none: one GPU if all (or MIN) can have one now, else no GPU."""
    resize_s: float = 150.0
    """Seconds between two times that --workers MIN..MAX follow the nodes: those that
    arrive one by one meanwhile cause one restart."""
    await_nodes: float = 0.0
    """Seconds that an autoscaling cluster is given to add the nodes which workers and
    pool need; 0: what is missing is an error."""
    pool: str | None = None
    """MIN..MAX Ray actors that solve for s_val, beside --workers; none: whoever trains
    solves. Makes no difference to the result."""
    pool_resources: str = "CPU=1"
    """What each of them takes: "CPU=1", "GPU=0.5", or a resource of your own, which a
    pool beside MIN..MAX workers needs: "solver=1"."""
    cache: Path = field(default_factory=cache_folder)
    """Generators fitted adversarially (--adversarial.fit) are kept here for later runs
    with the same data, settings and seed."""
    mlflow: str | None = None
    """Send the finished run to MLflow at this address: http://host:5000 or
    sqlite:///runs.db. `infaug report RUN --mlflow` does so at any time."""
    quiet: bool = False
    """Print nothing but the last line."""
    json: bool = False
    """Print nothing but the JSON object of the last line."""
    plan: bool = False
    """Say what the images are like, what would be run and how long it would take, and
    stop."""
    run: Annotated[RunConfig, tyro.conf.arg(name="")] = field(default_factory=RunConfig)


FEW = {
    "--data": "--data.source",
    "--target PATH": "--data.target-source",
    "--target NUMBER": "--data.target",
    "--labels": "--data.labels",
    "--image-size": "--data.image-size",
    "--network": "--classifier.network",
    "--weights": "--classifier.weights",
    "--freeze": "--classifier.freeze",
    "--out": "--out",
    "--seeds": "--seeds",
    "--minutes": "--minutes",
    "--methods": "--methods",
    "--members": "--members",
    "--workers": "--workers",
    "--plan": "--plan",
    "--json": "--json",
}


def parse_fit(
    argv: Sequence[str], default: Fit | None = None, prog: str = "infaug fit"
) -> Fit:
    """A fit from its flags; see `cli.flags.parse_run`."""
    if {"-h", "--help"} & set(argv):
        print(short_help(Fit, FEW, prog))
        raise SystemExit(0)
    argv = ["--help" if word == "--help-all" else word for word in argv]
    return parse_run(Fit, argv, default, prog)


def fit(args: Fit) -> int:
    """`infaug fit`."""
    workers = CountRange.parse(args.workers, "--workers")
    if not workers.max:  # Workers may see a disk that this machine does not.
        look_for_data(args.run.data.source, args.run.data.target_source)
    from infaug.cli.influence import check_in_run
    from infaug.record.folder import RunFolder, local_copy
    from infaug.record.timings import effort_of  # torch: too slow for --help
    from infaug.report.experiment_page import report_at_end
    from infaug.report.tables import result_text

    if args.plan:
        from infaug.experiment.outlook import foresee

        for line in foresee(args.run, workers.max, args.jobs):
            print(line, flush=True)
        return 0
    if args.mlflow:
        from infaug.report.mlflow import connect

        connect(args.mlflow)  # before hours of training
    shown = not (args.quiet or args.json)
    folder = RunFolder(args.out).bring()
    is_finished = folder.result() is not None
    is_new = not is_finished or folder.lacks_seeds(args.run)
    if shown and is_finished:
        more = "seeds are added" if is_new else "nothing is trained again"
        print(f"{args.out} holds a finished experiment; {more}.")
    is_fresh = not (folder.path / "trainings").exists()
    began = time.perf_counter()
    result = _run(args, workers, shown)
    wall_s = time.perf_counter() - began if is_fresh else None
    with local_copy(args.out) as run:
        pictures = _drawn(run)
        if shown:
            print(result_text(result))
            if pictures:
                print("pictures:", *pictures)
            print(effort_of(run).describe(wall_s))
        done = [f"influence check: {p}" for p in run.glob("influence-*.json")]
        checked = done or check_in_run(run)
        notes = report_at_end(run, args.out, is_new=is_new)
    if shown:
        print(*checked, *notes, sep="\n")
    keys = ("unit", "answer", "methods", "verdict", "seconds")
    found = json.dumps({key: result[key] for key in keys if key in result})
    print(found if args.json else f"RESULT {found}", flush=True)
    if args.mlflow:
        from infaug.report.mlflow import send_at_end

        sent = send_at_end(folder.path, args.out, args.mlflow)
        if shown:
            print(sent, file=sys.stderr)
    return 0


def _drawn(run: Path) -> list[Path]:
    """The pictures of views; what keeps them from being drawn is only a warning."""
    from infaug.report.views import draw_pictures

    try:
        return draw_pictures(run)
    except (OSError, ValueError) as error:
        warnings.warn(
            f"pictures of views not drawn ({error}): rerun the command to draw them",
            stacklevel=2,
        )
        return []


def _run(args: Fit, workers: CountRange, shown: bool) -> dict[str, Any]:
    if args.await_nodes < 0 or (args.gpus_per_worker or 0) < 0:
        raise ValueError(
            "--await-nodes and --gpus-per-worker must be >= 0, got "
            f"{args.await_nodes:g} and {args.gpus_per_worker}"
        )
    if args.resize_s <= 0:
        raise ValueError(f"--resize-s must be > 0, got {args.resize_s:g}")
    if workers.max or args.pool:
        from infaug.distributed.pool_group import PoolShape  # imports ray
        from infaug.distributed.train import fit_on_workers

        pool = PoolShape.parse(args.pool, args.pool_resources) if args.pool else None
        return fit_on_workers(
            args.run,
            args.out,
            workers,
            cache=args.cache,
            shown=shown,
            pool=pool,
            gpus_per_worker=args.gpus_per_worker,
            await_s=args.await_nodes,
            resize_s=args.resize_s,
        )
    from infaug.experiment.run import run

    if args.jobs < 0:
        raise ValueError(f"--jobs must be >= 0, got {args.jobs}")
    return run(args.run, args.out, cache=args.cache, shown=shown, jobs=args.jobs)


def job(
    config: RunConfig, out: str, smoke: RunConfig, *, smoke_pool: str | None = None
) -> int:
    """What a file in ray_jobs does: `infaug fit` with its own defaults.

    `--smoke` has those of `smoke` instead, which tries everything out with few steps,
    and a pool, if one is given.
    """
    argv = sys.argv[1:]
    default = Fit(out=out, run=config)
    if "--smoke" in argv:
        argv.remove("--smoke")
        default = replace(default, run=smoke, pool=smoke_pool)
    return guarded(lambda: fit(parse_fit(argv, default)))
