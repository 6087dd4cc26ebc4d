"""Whether it is worth starting again after workers died or could not be set up."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ray
from ray import PlacementGroupID
from ray.train.torch import TorchTrainer
from ray.util.placement_group import PlacementGroup, remove_placement_group
from ray.util.state import list_placement_groups

from infaug.distributed.ray_private import ControllerError
from infaug.record.atomic import write_json, writing
from infaug.record.folder import RunFolder

MAX_DEATHS = 5  # at one checkpoint, with one number of workers
MAX_SETUPS = 5  # of workers, one after another, that failed
SETUP_PAUSE_S = 5.0  # before the second; then twice as long each time
WORKED_S = 600.0  # an attempt that lasted so long did not fail in its setup


def count_attempt(folder: RunFolder, num_workers: int) -> None:
    """Count that workers start here; only the first of them calls this.

    On machines that are taken away a run starts again any number of times, as long as
    there is a new checkpoint now and then. A start with another number of workers is a
    resize, and no death.

    Raises:
        ValueError: if the last `MAX_DEATHS` attempts all started where this one does,
            or the folder cannot be written: a full disk is reported at once, and not
            five times as a death.
    """
    if folder.mirror:
        folder.mirror.bring()
    before, here = _read(_file(folder)), folder.progress()
    state = {"progress": here, "workers": num_workers}
    is_same = all(before.get(name) == value for name, value in state.items())
    count = before["count"] + 1 if is_same else 1
    reason = before.get("reason", "") if is_same else ""
    if count > MAX_DEATHS:
        raise ValueError(
            f"the workers died {MAX_DEATHS} times since the last checkpoint ({here}): "
            f"{reason or 'killed, and they left no reason; often memory was full'}. "
            "If machines are just taken away too often, lower "
            "--rounds.checkpoint-every-steps. Rerunning the command continues"
        )
    _write(folder, {**state, "count": count, "reason": ""})


def note_reason(folder: RunFolder, error: BaseException) -> None:
    """Keep what this attempt died of, for the message that gives up."""
    first = (str(error).strip() or "no message").splitlines()[0]
    if before := _read(_file(folder)):
        _write(folder, {**before, "reason": f"{type(error).__name__}: {first}"})


def fit_again(build: Callable[[], TorchTrainer]) -> dict[str, Any]:
    """Fit a trainer, and another one where Ray could not set its workers up.

    Ray retries workers that die, but not an error of its controller, such as a node
    that leaves while workers are being connected. Then it also leaves their place
    reserved (Ray 2.60), which the next workers would wait for.

    Raises:
        ValueError: if that failed `MAX_SETUPS` times in a row.
    """
    failed = 0
    while True:
        began, reserved = time.monotonic(), _reserved_here()
        try:
            end = build().fit().return_value
        except ControllerError as error:
            for group in _reserved_here() - reserved:
                remove_placement_group(PlacementGroup(PlacementGroupID.from_hex(group)))
            failed = 1 if time.monotonic() - began > WORKED_S else failed + 1
            if failed >= MAX_SETUPS:
                raise ValueError(
                    f"Ray could not set up the workers {failed} times in a row: "
                    f"{error.controller_failure}; rerunning the command continues "
                    "from the last checkpoint"
                ) from error
            time.sleep(SETUP_PAUSE_S * 2 ** (failed - 1))
        else:
            assert isinstance(end, dict), "workers end with a result or a mistake"
            return end


def _reserved_here() -> set[str]:
    """Placement groups without a name that this job holds, by their ids."""
    if not ray.is_initialized():
        return set()
    own = ray.get_runtime_context().get_job_id()
    held: Any = list_placement_groups(filters=[("creator_job_id", "=", own)])
    return {
        group.placement_group_id
        for group in held
        if not group.name and group.state != "REMOVED"
    }


def _file(folder: RunFolder) -> Path:
    return folder.path / "ray" / "attempts.json"


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text()) if path.exists() else {}


def _write(folder: RunFolder, state: dict[str, Any]) -> None:
    with writing(folder.path):
        _file(folder).parent.mkdir(exist_ok=True)
        write_json(_file(folder), state)
