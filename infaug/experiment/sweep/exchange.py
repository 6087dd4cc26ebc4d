"""A trial that takes over the weights of a better one, as PBT has it.

What is exchanged is a copy of a run folder as it stood at the end of a round. The taker
goes on from it with settings of its own, in a folder of its own; its old one stays.
"""

import json
import shutil
from pathlib import Path

from infaug.config import to_dict
from infaug.experiment.sweep.trial import Trial
from infaug.record.atomic import write_json

LEFT_BEHIND = ("lock", "tensorboard", "config.json", "home.json")


def pack(home: Path, into: Path) -> Path:
    """Copy a run folder, and note whose it is."""
    copy = into / "run"
    shutil.copytree(home, copy, ignore=shutil.ignore_patterns(*LEFT_BEHIND))
    write_json(copy / "home.json", {"home": home.name})
    return into


def go_on(run: Path, trial: Trial, trials: Path, name: str) -> str:
    """Where a trial goes on from a copied run folder: the name of its home.

    That is its own folder as it lies there, or another's, copied to a new one.
    """
    home = json.loads((run / "home.json").read_text())["home"]
    if home.partition(".")[0] == name:
        return home
    number = len(list(trials.glob(f"{name}.*")))
    taken = trials / f"{name}.{number}"
    ignored = shutil.ignore_patterns(*LEFT_BEHIND)
    shutil.copytree(run, taken, ignore=ignored)
    write_json(taken / "asked.json", to_dict(trial.config))
    return taken.name
