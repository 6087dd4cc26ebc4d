"""A Ray that is started here is alone with itself, whatever else the machine runs."""

import os

import pytest

ray = pytest.importorskip("ray")
pytestmark = pytest.mark.ray


def test_its_processes_know_which_ray_they_belong_to(monkeypatch):
    from infaug.distributed.local import start_here

    monkeypatch.setenv("RAY_ADDRESS", "192.0.2.1:6379")  # another, of the user's
    start_here(num_cpus=1, include_dashboard=False, log_to_driver=False)
    try:
        # Ray puts the machine's address in place of 127.0.0.1.
        port = ray.get_runtime_context().gcs_address.rpartition(":")[2]
        told = ray.get(ray.remote(lambda: os.environ["RAY_ADDRESS"]).remote())
        assert told == f"127.0.0.1:{port}"
        assert os.environ["RAY_ADDRESS"] == "192.0.2.1:6379"
        assert "RAY_GCS_SERVER_PORT" not in os.environ
    finally:
        ray.shutdown()
