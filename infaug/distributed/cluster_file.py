"""Ray's own offline check of a cluster file."""

import contextlib
import copy
import io
from collections.abc import Mapping
from typing import Any

import jsonschema
from click import ClickException
from ray.autoscaler._private.kuberay.autoscaling_config import (
    _derive_autoscaling_config_from_ray_cr,
)
from ray.autoscaler._private.util import prepare_config, validate_config

# What KubeRay runs, Ray's autoscaler reads; the namespace makes no difference to it.
NAMESPACE = "default"


def prepared_by_ray(file: Mapping[str, Any]) -> dict[str, Any]:
    """The file with Ray's defaults, as Ray's autoscaler would read it.

    Args:
        file: a file for `ray up`, or `{"kind": "RayCluster", "name": NAME, **spec}`.

    Raises:
        ValueError: what Ray says of it, as `field: what`.
    """
    file = copy.deepcopy(dict(file))
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
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
        raise ValueError(f"file: {error.message or said.getvalue()}") from error
    except (AssertionError, KeyError, RuntimeError, ValueError) as error:
        raise ValueError(f"file: Ray cannot read it: {error!r}") from error
