"""A run's metrics and timings among those that Ray exports (Prometheus, dashboard).

Every worker exports what it does itself, so that a slow one can be found. Ray
puts `ray_` before each name.
"""

from functools import cache

from ray.util.metrics import Counter, Gauge, Histogram

from infaug.record.steps import Interval, Metrics, MetricsWriter, StepInfo

LABELS = ("method", "seed", "phase", "worker")
# Seconds, from a small network on a GPU to a large batch on a few CPUs.
BOUNDARIES = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0]


class RayMetrics(MetricsWriter):
    """Exports a run through Ray; a process of a Ray job or worker has it.

    infaug_NAME              gauge: what the last logged step said, by its name
    infaug_images_a_second   gauge
    infaug_gpu_gib           gauge: peak since the last report
    infaug_steps, _images    counters
    infaug_seconds           counter, with a label `part`: see `Interval`
    infaug_step_seconds      histogram: the mean of each interval of steps
    """

    def __init__(self, worker: int = 0):
        self.worker = str(worker)
        self._steps = Counter("infaug_steps", "Steps done.", LABELS)
        self._images = Counter("infaug_images", "Images drawn.", LABELS)
        self._seconds = Counter("infaug_seconds", "Time spent.", (*LABELS, "part"))
        self._step_seconds = Histogram(
            "infaug_step_seconds", "Seconds a step.", BOUNDARIES, LABELS
        )

    def metrics(self, info: StepInfo, metrics: Metrics) -> None:
        """Numbers as gauges; words are left out."""
        for name, value in metrics.items():
            if not isinstance(value, str):
                _gauge(name).set(float(value), self._labels(info))

    def timing(self, info: StepInfo, interval: Interval) -> None:
        """Count steps, images and seconds."""
        labels = self._labels(info)
        self._steps.inc(interval.steps, labels)
        self._step_seconds.observe(interval.seconds / interval.steps, labels)
        for part, spent in {**interval.parts, "own": interval.own_seconds}.items():
            if spent > 0:  # Ray refuses to count nothing.
                self._seconds.inc(spent, {**labels, "part": part})
        found: dict[str, float | None] = dict(interval.counts)
        if images := found.pop("images", None):
            self._images.inc(images, labels)
        found["images_a_second"] = interval.images_a_second
        found["gpu_gib"] = interval.gpu_gib
        for name, value in found.items():
            if value is not None:
                _gauge(name).set(value, labels)

    def _labels(self, info: StepInfo) -> dict[str, str]:
        values = (info.method, str(info.seed), info.phase, self.worker)
        return dict(zip(LABELS, values, strict=True))


@cache
def _gauge(name: str) -> Gauge:
    """The gauge of a metric: a process has one of each name."""
    return Gauge(f"infaug_{name}", f"{name} of the last logged step.", LABELS)
