"""Printed as JSON: can the cluster at RAY_ADDRESS be reached, and what has it?"""

import json
import logging
import os
import urllib.request
from typing import Any

import ray

TIMEOUT_S = 8


def look(address: str) -> dict[str, Any]:
    """What the cluster has; an address of jobs (http://) only says its version.

    Raises:
        OSError: and others of ray's, if it cannot be reached.
    """
    if address.startswith(("http://", "https://")):
        url = f"{address.rstrip('/')}/api/version"
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as reply:
            return {"ray": json.load(reply).get("ray_version")}
    ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False)
    alive = [node for node in ray.nodes() if node["Alive"]]
    has = ray.cluster_resources()
    ray.shutdown()
    return {"nodes": len(alive), "CPU": has.get("CPU", 0), "GPU": has.get("GPU", 0)}


if __name__ == "__main__":
    print(json.dumps(look(os.environ["RAY_ADDRESS"])))
