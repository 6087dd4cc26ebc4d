"""What a job asks of a cluster: training workers, a solver pool, a driver, decoding."""

from dataclasses import dataclass, field

from infaug.cluster.groups import Resources, spell
from infaug.span import Span


@dataclass(frozen=True, kw_only=True)
class Demand:
    """`count` equal bundles, which may lie on different nodes."""

    what: str
    bundle: Resources
    count: int


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job: what must lie on the cluster at once.

    A worker takes one CPU and its GPUs. The driver takes nothing unless the cluster
    file reserves something for its entrypoint: it waits most of the time.
    """

    workers: Span = field(default_factory=Span)
    gpus_per_worker: float = 0.0
    pool: Span = field(default_factory=Span)
    pool_resources: Resources = field(default_factory=lambda: {"CPU": 1.0})
    driver: Resources = field(default_factory=dict)
    decode: int = 0
    """CPUs that decode images beside them."""

    @property
    def worker(self) -> Resources:
        """Resources of one training worker."""
        gpus = {"GPU": self.gpus_per_worker} if self.gpus_per_worker else {}
        return {"CPU": 1.0, **gpus}

    @property
    def is_empty(self) -> bool:
        """Whether nothing was asked for."""
        return not (self.workers.most or self.pool.most or self.decode or self.driver)

    def demands(self, workers: int, pool: int) -> list[Demand]:
        """With so many workers and solver actors; the smallest bundles come last."""
        asked = [
            Demand(what="driver", bundle=self.driver, count=int(bool(self.driver))),
            Demand(what="worker", bundle=self.worker, count=workers),
            Demand(what="solver actor", bundle=self.pool_resources, count=pool),
            Demand(what="decoding task", bundle={"CPU": 1.0}, count=self.decode),
        ]
        return [demand for demand in asked if demand.count]


def told(demands: list[Demand]) -> str:
    """Demands in words.

    >>> told([Demand(what="worker", bundle={"CPU": 1, "GPU": 1}, count=2)])
    '2 workers of CPU=1, GPU=1'
    """
    parts = [f"{count_of(demand)} of {spell(demand.bundle)}" for demand in demands]
    return "; ".join(parts)


def count_of(demand: Demand) -> str:
    """`1 worker` or `2 workers`."""
    return f"{demand.count} {demand.what}{'' if demand.count == 1 else 's'}"
