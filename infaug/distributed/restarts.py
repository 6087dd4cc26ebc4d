"""Workers that die, hang or cannot be set up, and when to start them again.

Ray notices a process that does not answer, and peers notice one that keeps them waiting
in a collective. What is left is a worker that answers and does nothing: it waits for a
disk or a lock that never comes, and a watchdog ends it.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ray
from ray import PlacementGroupID
from ray.train.torch import TorchTrainer
from ray.util.placement_group import PlacementGroup, remove_placement_group
from ray.util.state import list_placement_groups
from ray.util.state.exception import ServerUnavailable

from infaug.distributed.ray_private import ControllerError
from infaug.record.atomic import write_json, writing
from infaug.record.folder import RunFolder
from infaug.record.training_folder import progress_of
from infaug.timer import Timer

HANG_FACTOR = 20.0  # times the longest step so far
MIN_HANG_S = 300.0  # the pauses of a slow disk are no hang
CHECK_S = 5.0
WAITING = ("peers", "s_val")  # for others, with limits of their own
IDLE_SHARE = 0.02  # of a core: Ray's own threads in a worker take less
# No collective waits longer: nothing in a training keeps peers waiting for minutes, so
# a longer wait is a hang, and ends in a restart from the last checkpoint.
COLLECTIVE_TIMEOUT_S = 600
MAX_DEATHS = 5  # at one checkpoint, with one number of workers
MAX_SETUPS = 5  # of workers, one after another, that failed
SETUP_PAUSE_S = 5.0  # before the second; then twice as long each time
WORKED_S = 600.0  # an attempt that lasted so long did not fail in its setup


def count_attempt(folder: RunFolder, num_workers: int) -> None:
    """Count that workers start here; only the first of them calls this.

    A run starts again any number of times as long as there is a new checkpoint now and
    then. A start with another number of workers is a resize, and no death.

    Raises:
        ValueError: if the last `MAX_DEATHS` attempts all started where this one does,
            or the folder cannot be written: a full disk is reported at once, and not
            five times as a death.
    """
    folder.bring()
    before, here = _read(_file(folder)), progress_of(folder.path)
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
    """Placement groups without a name that this job holds, by their ids.

    None are known of a cluster that was started without a dashboard.
    """
    if not ray.is_initialized():
        return set()
    context = ray.get_runtime_context()
    # With its address: there may be several clusters on one machine.
    try:
        held: Any = list_placement_groups(
            address=context.gcs_address,
            filters=[("creator_job_id", "=", context.get_job_id())],
        )
    except ServerUnavailable:
        return set()
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


class Watchdog:
    """Calls `end` when no step is done for too long though nothing keeps the worker.

    A worker that computes does not hang, as in an evaluation; nor does one that waits
    for its peers, which `COLLECTIVE_TIMEOUT_S` limits, or for a solver pool.

    Args:
        timer: says what the worker waits for.
        end: receives why.
        min_s: how long a hang lasts at least.
        check_s: how often to look.
    """

    def __init__(
        self,
        timer: Timer,
        end: Callable[[str], None] | None = None,
        *,
        min_s: float = MIN_HANG_S,
        check_s: float = CHECK_S,
    ):
        self.timer, self.end = timer, end or _exit
        self.min_s, self.check_s = min_s, check_s
        self.longest_s = 0.0
        self.step_at: float | None = None
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def step(self) -> None:
        """A step is done."""
        now = time.monotonic()
        if self.step_at is not None:
            self.longest_s = max(self.longest_s, now - self.step_at)
        self.step_at = now

    def rest(self) -> None:
        """Training is over: no step is expected."""
        self.step_at = None

    def _watch(self) -> None:
        busy_at, used_s = time.monotonic(), time.process_time()
        checked_at = busy_at
        while True:
            time.sleep(self.check_s)
            now, used_before = time.monotonic(), used_s
            used_s = time.process_time()
            is_busy = used_s - used_before > IDLE_SHARE * (now - checked_at)
            checked_at = now
            if is_busy or self.timer.part in WAITING:
                busy_at = now
            if (step_at := self.step_at) is None:
                continue
            idle_s = now - max(step_at, busy_at)
            if idle_s > max(self.min_s, HANG_FACTOR * self.longest_s):
                self.end(f"no step for {idle_s:.0f} s, and no work: this worker hangs")
                return


def _exit(why: str) -> None:
    print(why, file=sys.stderr, flush=True)
    os._exit(1)  # Whatever hangs would keep an orderly exit waiting.
