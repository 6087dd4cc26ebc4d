"""Whether it is worth beginning again after workers died."""

import json
from pathlib import Path
from typing import Any

from infaug.record.atomic import write_json
from infaug.record.disk import writing
from infaug.record.folder import RunFolder

MAX_DEATHS = 5  # at one place, with one number of workers


def count_attempt(folder: RunFolder, num_workers: int) -> None:
    """Count that workers begin here; only the first of them calls this.

    On machines that are taken away a run begins again any number of times, as long as
    there is a new checkpoint now and then. A beginning with another number of workers
    is a resize, and no death.

    Raises:
        ValueError: if the last `MAX_DEATHS` attempts all began where this one does, or
            the folder cannot be written: a full disk is reported at once, and not five
            times as a death.
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
    """Keep what this attempt died of, for whoever gives up."""
    first = (str(error).strip() or "no message").splitlines()[0]
    if before := _read(_file(folder)):
        _write(folder, {**before, "reason": f"{type(error).__name__}: {first}"})


def _file(folder: RunFolder) -> Path:
    return folder.path / "ray" / "attempts.json"


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text()) if path.exists() else {}


def _write(folder: RunFolder, state: dict[str, Any]) -> None:
    with writing(folder.path):
        _file(folder).parent.mkdir(exist_ok=True)
        write_json(_file(folder), state)
