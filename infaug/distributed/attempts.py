"""Whether it is worth beginning again after workers died."""

import json

from infaug.record.atomic import write_json
from infaug.record.disk import writing
from infaug.record.folder import RunFolder

MOST = 5  # deaths at one place


def count_attempt(folder: RunFolder) -> None:
    """Count that workers begin here; only the first of them calls this.

    On machines that are taken away a run begins again any number of times, as long as
    there is a new checkpoint now and then.

    Raises:
        ValueError: if the last `MOST` attempts all began where this one does, or the
            folder cannot be written: a full disk is told at once, and not five times
            as a death.
    """
    if folder.mirror:
        folder.mirror.bring()
    kept = folder.path / "ray" / "attempts.json"
    before = json.loads(kept.read_text()) if kept.exists() else None
    here = folder.progress()
    count = before["count"] + 1 if before and before["progress"] == here else 1
    if count > MOST:
        raise ValueError(
            f"the workers died {MOST} times since the last checkpoint ({here}): their "
            "logs say why (out of memory?). If machines are just taken away too often, "
            "lower --rounds.checkpoint-every-steps and run the same command again"
        )
    with writing(folder.path):
        kept.parent.mkdir(exist_ok=True)
        write_json(kept, {"progress": here, "count": count})
