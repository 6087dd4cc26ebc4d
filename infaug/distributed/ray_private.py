"""All that infaug uses of Ray beyond its public interface.

`tests/distributed/test_ray_private.py` calls each of them, so that a Ray that moves one
fails there and nowhere else.
"""

import contextlib
import copy
import io
import time
from collections.abc import Mapping
from typing import Any

import jsonschema
from click import ClickException
from ray._private.state import state
from ray._raylet import GcsClient  # pyright: ignore[reportAttributeAccessIssue]
from ray.autoscaler._private.kuberay.autoscaling_config import (
    _derive_autoscaling_config_from_ray_cr,
)
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.autoscaler.v2.sdk import get_cluster_status
from ray.core.generated.autoscaler_pb2 import DrainNodeReason  # pyright: ignore[reportAttributeAccessIssue]
from ray.train.v2.api.exceptions import ControllerError

__all__ = [
    "ControllerError",
    "drain_node",
    "draining_nodes",
    "prepared_by_ray",
    "refused_groups",
]

# What KubeRay runs, Ray's autoscaler reads; the namespace makes no difference to it.
NAMESPACE = "default"


def prepared_by_ray(file: Mapping[str, Any]) -> dict[str, Any]:
    """The file with Ray's defaults, as Ray's autoscaler would read it.

    Args:
        file: a file for `ray up`, or `{"kind": "RayCluster", "name": NAME, **spec}`.

    Raises:
        ValueError: what Ray reports, as `field: what`.
    """
    file = copy.deepcopy(dict(file))
    output = io.StringIO()
    try:
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            if file.pop("kind", None) == "RayCluster":
                metadata = {"name": file.pop("name"), "namespace": NAMESPACE}
                file.setdefault("workerGroupSpecs", [])
                resource = {"metadata": metadata, "spec": file}
                return _derive_autoscaling_config_from_ray_cr(resource)
            prepared = prepare_config(file)
            validate_config(prepared)
            return prepared
    except jsonschema.ValidationError as error:
        where = ".".join(str(part) for part in error.absolute_path) or "file"
        raise ValueError(f"{where}: {error.message}") from error
    except ClickException as error:
        raise ValueError(f"file: {error.message or output.getvalue()}") from error
    except (AssertionError, KeyError, RuntimeError, ValueError) as error:
        raise ValueError(f"file: Ray cannot read it: {error!r}") from error


def refused_groups(address: str) -> set[str]:
    """Groups of nodes whose launch the cloud has just refused; none without a scaler.

    Raises:
        Exception: Ray's own, if the head does not answer.
    """
    failed = get_cluster_status(address).failed_launches
    return {launch.ray_node_type_name for launch in failed}


def draining_nodes() -> set[str]:
    """The nodes that were given notice, by their ids."""
    return set(state.get_draining_nodes())


def drain_node(address: str, node_id: str, why: str, left_s: float) -> None:
    """Give Ray notice that a node goes in so many seconds.

    Raises:
        ValueError: if Ray does not accept it.
    """
    is_accepted, refusal = GcsClient(address=address).drain_node(
        node_id,
        DrainNodeReason.Value("DRAIN_NODE_REASON_PREEMPTION"),
        why,
        int((time.time() + left_s) * 1000),
    )
    if not is_accepted:
        raise ValueError(f"Ray does not drain node {node_id}: {refusal}")
