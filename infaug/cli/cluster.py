"""`infaug cluster`: is a cluster file sound, and will a job ever fit on it?"""

from dataclasses import asdict, dataclass, replace
from pathlib import Path

import tyro

from infaug.cli.output import Output, tell
from infaug.cluster.job import Job
from infaug.span import Span


@dataclass(frozen=True, kw_only=True)
class Check(Output):
    """Check a cluster file offline, and whether a job can ever fit on the cluster.

    FILE is for `ray up` (aws, gcp, local) or a KubeRay RayJob or RayCluster. Beyond
    Ray's own check: the name, fields of node_config, counts that contradict each other,
    resources, ports open to the world, spot GPUs without a fallback.
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


def check_cluster(asked: Check) -> int:
    """`infaug cluster check`."""
    from infaug.cluster.check import check
    from infaug.cluster.groups import table
    from infaug.cluster.job import describe_fit
    from infaug.distributed.ray_private import prepared_by_ray  # imports ray

    job = _job(asked)
    checked = check(asked.file, prepared_by_ray)
    job = replace(job, driver=checked.driver)
    lines = [table(checked.cluster)]
    if checked.to_fill_in:
        numbers = ", ".join(map(str, checked.to_fill_in))
        lines[0] += f"\nFILL-IN is left on lines {numbers}"
    if not job.is_empty:
        try:
            lines.append(describe_fit(checked.cluster, job))
        except ValueError as error:
            raise ValueError(f"{asked.file}: {error}") from error
    found = {
        "file": str(asked.file),
        "cluster": asdict(checked.cluster),
        "to_fill_in": checked.to_fill_in,
        "job": lines[1] if len(lines) > 1 else None,
    }
    tell(asked, lines, found)
    return 0


def _job(asked: Check) -> Job:
    from infaug.distributed.pool_group import PoolShape

    if asked.gpus_per_worker < 0 or asked.decode < 0:
        raise ValueError(
            "--gpus-per-worker and --decode must be >= 0, got "
            f"{asked.gpus_per_worker:g} and {asked.decode}"
        )
    return Job(
        workers=Span.parse(asked.workers, "--workers"),
        gpus_per_worker=asked.gpus_per_worker,
        pool=Span.parse(asked.pool, "--pool"),
        pool_resources=PoolShape.parse("1", asked.pool_resources).resources,
        decode=asked.decode,
    )
