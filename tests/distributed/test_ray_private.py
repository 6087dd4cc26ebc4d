"""What infaug takes of Ray beyond its public interface is still there."""

import re
import time
from pathlib import Path

import pytest

from .cloud_metadata import metadata_service

ray = pytest.importorskip("ray")


def test_each_private_part_of_ray_has_the_form_that_is_used():
    from infaug.distributed import ray_private

    assert callable(ray_private.state.get_draining_nodes)
    reason = ray_private.DrainNodeReason.Value("DRAIN_NODE_REASON_PREEMPTION")
    assert reason == 2
    error = ray_private.ControllerError(ValueError("why"))
    assert str(error.controller_failure) == "why"
    assert callable(ray_private.prepare_config)
    assert callable(ray_private.validate_config)
    assert callable(ray_private._derive_autoscaling_config_from_ray_cr)


def test_no_other_file_uses_what_ray_keeps_to_itself():
    folder = Path(__file__).parents[2] / "infaug"
    private = re.compile(r"(from|import) ray\.([\w.]*\.)?(_\w+|core|v2)\b")
    users = [f.name for f in folder.rglob("*.py") if private.search(f.read_text())]
    assert users == ["ray_private.py"]


class Idle:
    """Work that keeps its node from being idle."""

    def ping(self):
        """Whether it is there."""


@pytest.mark.ray
@pytest.mark.slow
def test_a_node_whose_cloud_gives_notice_is_one_that_drains():
    from infaug.distributed import notice, ray_private
    from infaug.distributed.local import start_here

    start_here(num_cpus=1, log_to_driver=False)
    try:
        worker = ray.remote(num_cpus=1)(Idle).remote()
        ray.get(worker.ping.remote())  # A node without work goes at once.
        assert ray_private.draining_nodes() == set()
        answers = {("GET", "/computeMetadata/v1/instance/preempted"): "TRUE"}
        with metadata_service(answers) as url:
            notice.watch_node(notice.drain_this_node, url)
            until = time.monotonic() + 20
            while not ray_private.draining_nodes() and time.monotonic() < until:
                time.sleep(0.1)
        own = ray.get_runtime_context().get_node_id()
        assert ray_private.draining_nodes() == {own}
    finally:
        ray.shutdown()
