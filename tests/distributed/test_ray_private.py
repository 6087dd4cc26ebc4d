"""What infaug takes of Ray beyond its public interface is still there."""

import re
from pathlib import Path

import pytest

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
