"""What a run tells Ray is what Ray exports."""

import json
import subprocess
import sys

import pytest

pytest.importorskip("ray")
pytestmark = [pytest.mark.ray, pytest.mark.slow]

# A program of its own: how often Ray reports is decided when it is started.
EXPORT = """
import json, sys, time, urllib.request
import ray
from infaug.distributed.metrics import RayMetrics
from infaug.record.steps import StepInfo, Interval

ray.init(
    num_cpus=1, include_dashboard=True, dashboard_host="127.0.0.1",
    _node_ip_address="127.0.0.1", log_to_driver=False,
    _system_config={"metrics_report_interval_ms": 200},
)
told = RayMetrics(worker=1)
info = StepInfo(
    method="base", seed=0, round=0, phase="classify", step=20, global_step=20
)
told.metrics(info, {"loss": 0.25, "status": "solved"})
interval = Interval(
    steps=20, seconds=4.0, parts={"data": 1.0}, counts={"images": 640}, gpu_gib=2.5
)
told.timing(info, interval)
told.timing(info, interval)
port = ray.nodes()[0]["MetricsExportPort"]
until, found = time.monotonic() + 60, []
while len(found) < 7 and time.monotonic() < until:
    time.sleep(0.5)
    text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read().decode()
    found = [line for line in text.splitlines() if line.startswith("ray_infaug_")]
print(json.dumps(found))
ray.shutdown()
"""


def test_ray_exports_losses_rates_memory_and_seconds_by_part():
    done = subprocess.run(
        [sys.executable, "-c", EXPORT], capture_output=True, text=True, check=True
    )
    exported = {}
    for line in json.loads(done.stdout.splitlines()[-1]):
        series, _, value = line.rpartition(" ")
        name, _, labels = series.partition("{")
        assert 'method="base"' in labels
        assert 'phase="classify"' in labels
        assert 'worker="1"' in labels
        part = labels.partition('part="')[2].partition('"')[0]
        exported[name, part] = float(value)
    assert exported["ray_infaug_loss", ""] == 0.25
    assert exported["ray_infaug_images_a_second", ""] == 160
    assert exported["ray_infaug_gpu_gib", ""] == 2.5
    assert exported["ray_infaug_steps_total", ""] == 40
    assert exported["ray_infaug_images_total", ""] == 1280
    assert exported["ray_infaug_seconds_total", "data"] == 2
    assert exported["ray_infaug_seconds_total", "own"] == 6
    assert exported["ray_infaug_step_seconds_count", ""] == 2
    assert not any("status" in name for name, _ in exported)
