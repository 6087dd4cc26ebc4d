"""A cluster file checked without the cloud: its mistakes, or what it describes.

The file as it was written is checked first, then Ray's own check fills in its defaults
and reduces every kind of file to one, and that is checked for what is left.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from infaug.cluster.groups import Cluster, cluster_of
from infaug.cluster.kuberay import (
    KINDS,
    cluster_spec,
    document_exposure,
    is_spot_pod,
    kuberay_mistakes,
    spot_pod_mistakes,
)
from infaug.cluster.launcher import (
    is_spot_machine,
    launcher_mistakes,
    prepared_mistakes,
)

ON_DEMAND = "on_demand"  # `infaug.distributed.capacity` requests it

Prepare = Callable[[Mapping[str, Any]], dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Checked:
    """A file without mistakes."""

    cluster: Cluster
    driver: dict[str, float]
    """What the file reserves for the job's entrypoint."""
    to_fill_in: tuple[int, ...]
    """Lines that still hold FILL-IN."""


def check(path: Path, prepare: Prepare) -> Checked:
    """Check a cluster file, for `ray up` or for KubeRay.

    Args:
        path: the YAML file.
        prepare: Ray's own check, which returns the file with Ray's defaults; it raises
            ValueError. Passed in because only `infaug.distributed` may import ray.

    Raises:
        ValueError: one line `FILE: field: what, remedy` for each mistake.
    """
    documents = _read(path)
    described = [doc for doc in documents if doc.get("kind") in KINDS]
    if len(described) > 1:
        raise ValueError(f"{path}: kind: describes {len(described)} clusters, keep one")
    if described:
        return _check_kuberay(path, described[0], documents, prepare)
    if len(documents) != 1 or "kind" in documents[0]:
        kinds = ", ".join(str(doc.get("kind")) for doc in documents) or "nothing"
        raise ValueError(f"{path}: kind: must be {' or '.join(KINDS)}, got {kinds}")
    return _check_launcher(path, documents[0], prepare)


def _read(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        raise ValueError(f"{path} is no file: give a YAML file for `ray up` or KubeRay")
    try:
        documents = [doc for doc in yaml.safe_load_all(path.read_text()) if doc]
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{path}: cannot be read as YAML: {reason}") from error
    if not documents or not all(isinstance(doc, dict) for doc in documents):
        raise ValueError(f"{path}: is no cluster file: it must be a YAML mapping")
    return documents


def _check_launcher(path: Path, file: dict[str, Any], prepare: Prepare) -> Checked:
    _refuse(path, launcher_mistakes(file))
    with _of_file(path):
        prepared = prepare(file)
    provider, kinds = prepared["provider"]["type"], prepared["available_node_types"]
    is_spot = {
        name: is_spot_machine(provider, kind["node_config"])
        for name, kind in kinds.items()
    }
    spot = spot_mistakes("available_node_types", kinds, is_spot)
    _refuse(path, [*prepared_mistakes(prepared), *spot])
    return _checked(path, prepared, {})


def _check_kuberay(
    path: Path,
    document: dict[str, Any],
    documents: list[dict[str, Any]],
    prepare: Prepare,
) -> Checked:
    _refuse(path, [*kuberay_mistakes(document), *document_exposure(documents)])
    where, spec = cluster_spec(document)
    name = document["metadata"]["name"]
    with _of_file(path):
        prepared = prepare({"kind": "RayCluster", "name": name, **spec})
    groups = spec.get("workerGroupSpecs") or []
    is_spot = {g["groupName"]: is_spot_pod(g["template"]["spec"]) for g in groups}
    kinds = prepared["available_node_types"]
    spot = spot_mistakes(f"{where}.workerGroupSpecs", kinds, is_spot)
    _refuse(path, [*spot, *spot_pod_mistakes(where, spec)])
    job = document["spec"]
    driver = {
        "CPU": float(job.get("entrypointNumCpus", 0)),
        "GPU": float(job.get("entrypointNumGpus", 0)),
    }
    return _checked(path, prepared, {k: v for k, v in driver.items() if v})


@contextmanager
def _of_file(path: Path) -> Iterator[None]:
    """Mistakes are reported with the file."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _checked(
    path: Path, prepared: Mapping[str, Any], driver: dict[str, float]
) -> Checked:
    with _of_file(path):
        cluster = cluster_of(prepared)
    lines = enumerate(path.read_text().splitlines(), start=1)
    left = tuple(n for n, line in lines if "FILL-IN" in line.partition("#")[0])
    return Checked(cluster=cluster, driver=driver, to_fill_in=left)


def _refuse(path: Path, mistakes: Iterable[str]) -> None:
    if lines := [f"{path}: {mistake}" for mistake in mistakes]:
        raise ValueError("\n".join(lines))


def spot_mistakes(
    where: str, kinds: Mapping[str, Mapping[str, Any]], is_spot: Mapping[str, bool]
) -> Iterator[str]:
    """A mistake for each spot group with GPUs that nothing falls back to.

    There are hours without spot GPUs: nodes would stay pending, and nothing says so.
    The fallback has the same resources and `on_demand`, by which infaug requests it
    when spot is refused. Ray prefers the group that a bundle fills best, so the spot
    group also needs the higher priority.
    """
    resources = {name: dict(kinds[name]["resources"]) for name in is_spot}
    steady = [name for name, spot in is_spot.items() if not spot]
    for name, spot in is_spot.items():
        if not spot or not resources[name].get("GPU"):
            continue
        wanted = _compared(resources[name])
        fallbacks = [each for each in steady if _compared(resources[each]) == wanted]
        if not fallbacks:
            yield (
                f"{where}.{name}: GPUs on spot without a fallback, add a group with "
                "the same resources that is not on spot"
            )
        for each in fallbacks:
            if ON_DEMAND not in resources[each]:
                yield (
                    f"{where}.{each}.resources: add {ON_DEMAND}: 1, by which infaug "
                    "requests this group when spot is refused"
                )
            if kinds[name].get("priority", 0) <= kinds[each].get("priority", 0):
                yield (
                    f"{where}.{name}.priority: must be higher than that of {each}, or "
                    "spot is not preferred"
                )


def _compared(resources: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in resources.items() if k not in (ON_DEMAND, "memory")}
