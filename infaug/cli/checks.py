"""`infaug doctor` and `infaug cluster check`: are machine and cluster file sound?"""

import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import tyro

from infaug.cli.terminal import Output, show
from infaug.cluster.job import Job
from infaug.count_range import CountRange


@dataclass(frozen=True, kw_only=True)
class Doctor(Output):
    """Check this machine, and say for each fault what to do.

    Python, packages and extras, torch and its GPUs, torchvision, Ray and the cluster at
    RAY_ADDRESS, cores, memory, /dev/shm and disks. Takes seconds, writes nothing. Exit
    code 2 if something must be fixed.
    """

    wait_s: float = 12.0
    """How long torch and the cluster may take to answer."""


def doctor(args: Doctor) -> int:
    """`infaug doctor`."""
    from infaug.cache import cache_folder
    from infaug.doctor.examine import examine

    if args.wait_s <= 0:
        raise ValueError(f"--wait-s must be > 0, got {args.wait_s:g}")
    findings = examine(os.environ, cache_folder(), args.wait_s)
    faults = [each for each in findings if each.status == "fix"]
    lines = [line for each in findings for line in each.lines()]
    names = ", ".join(each.name for each in faults)
    lines.append(f"to be fixed: {names}" if faults else "nothing needs to be fixed")
    found = {"is_fit": not faults, "findings": [asdict(each) for each in findings]}
    show(args, lines, found)
    return 2 if faults else 0


@dataclass(frozen=True, kw_only=True)
class Check(Output):
    """Check a cluster file offline, and whether a job can ever fit on the cluster.

    FILE is for `ray up` (aws, gcp, local) or a KubeRay RayJob or RayCluster. Beyond
    Ray's own check: the name, counts that contradict each other, resources,
    ports open to the world, spot GPUs without a fallback.
    """

    file: tyro.conf.Positional[Path]
    """The YAML file."""
    workers: str = "0"
    """N or MIN..MAX training workers; 0, and no pool: only the file is checked."""
    gpus_per_worker: float = 0.0
    """Of each worker, beside one CPU."""
    pool: str = "0"
    """N or MIN..MAX solver actors."""
    pool_resources: str = "CPU=1"
    """What each of them takes, such as CPU=1,solver=1."""
    decode: int = 0
    """CPUs that decode images beside them."""


def check(args: Check) -> int:
    """`infaug cluster check`."""
    from infaug.cluster import check as cluster_file
    from infaug.cluster.groups import table
    from infaug.cluster.job import describe_fit
    from infaug.distributed.ray_private import prepared_by_ray  # imports ray

    job = _job(args)
    checked = cluster_file.check(args.file, prepared_by_ray)
    job = replace(job, driver=checked.driver)
    lines = [table(checked.cluster)]
    if checked.to_fill_in:
        numbers = ", ".join(map(str, checked.to_fill_in))
        lines[0] += f"\nFILL-IN is left on lines {numbers}"
    if not job.is_empty:
        try:
            lines.append(describe_fit(checked.cluster, job))
        except ValueError as error:
            raise ValueError(f"{args.file}: {error}") from error
    found = {
        "file": str(args.file),
        "cluster": asdict(checked.cluster),
        "to_fill_in": checked.to_fill_in,
        "job": lines[1] if len(lines) > 1 else None,
    }
    show(args, lines, found)
    return 0


def _job(args: Check) -> Job:
    from infaug.distributed.pool_group import PoolShape

    if args.gpus_per_worker < 0 or args.decode < 0:
        raise ValueError(
            "--gpus-per-worker and --decode must be >= 0, got "
            f"{args.gpus_per_worker:g} and {args.decode}"
        )
    return Job(
        workers=CountRange.parse(args.workers, "--workers"),
        gpus_per_worker=args.gpus_per_worker,
        pool=CountRange.parse(args.pool, "--pool"),
        pool_resources=PoolShape.parse("1", args.pool_resources).resources,
        decode=args.decode,
    )
