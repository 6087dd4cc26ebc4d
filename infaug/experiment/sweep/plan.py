"""A sweep: what is searched, how, and in which folder.

OUT/sweep.json         config, search space and how it is searched
OUT/sweep.jsonl        what happened, see `sweep.ledger`
OUT/trials/NAME/       a run folder for each trial
OUT/confirm/           the best and the first settings on fresh seeds
OUT/best.json          the best settings, for `infaug fit --config`
OUT/trials.csv         all trials
OUT/result.json        the best trial, what confirmed it, test accuracy: it is finished
OUT/*.png              pictures
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infaug.config import RunConfig, SweepConfig, to_dict
from infaug.experiment.sweep.changes import apply, check_space, may_move, names
from infaug.experiment.sweep.ledger import Ledger
from infaug.experiment.sweep.space import Space
from infaug.experiment.sweep.trial import Trial
from infaug.record.atomic import write_json, writing

# More trials continue a sweep; everything else would make it another one.
MAY_GROW = ("trials",)


@dataclass(frozen=True, kw_only=True, eq=False)
class Sweep:
    """What is searched, how, and where.

    Attributes:
        config: what every trial begins from; `data.source` as all processes find it.
        how: trials, scheduler, searcher, objective.
        space: distributions by setting.
        out: the folder, which all nodes must see.
    """

    config: RunConfig
    how: SweepConfig
    space: Space
    out: Path

    @property
    def names(self) -> list[str]:
        """Of all trials."""
        return names(self.how.trials)

    @property
    def steps(self) -> int:
        """Of F, in every trial."""
        rounds = self.config.rounds
        return rounds.rounds * rounds.classifier_steps

    @property
    def grace_steps(self) -> int:
        """Of F, before a trial may be stopped or exchanged."""
        return math.ceil(self.how.grace * self.steps)

    @property
    def rungs(self) -> list[int]:
        """Steps at which ASHA compares trials, before the last."""
        found, steps = [], float(self.grace_steps)
        while steps < self.steps:
            found.append(int(steps))
            steps *= self.how.reduction
        return found

    def trial(self, changes: Mapping[str, Any]) -> Trial:
        """What is trained with some changes.

        Raises:
            ValueError: if they do not go together.
        """
        config = apply(self.config, changes)
        return Trial(method=self.how.method, seed=self.how.seed, config=config)

    def home(self, name: str) -> Path:
        """A trial's run folder."""
        return self.out / "trials" / name

    def ledger(self) -> Ledger:
        """What has happened so far."""
        return Ledger(self.out / "sweep.jsonl")

    def enter(self) -> None:
        """Begin in the folder, or check that it is this sweep that began there.

        Raises:
            ValueError: if the space cannot be searched, or the folder holds something
                else or cannot be written.
        """
        check_space(self.space, self.config)
        if self.how.scheduler == "pbt" and not any(map(may_move, self.space)):
            raise ValueError(
                "sweep.scheduler pbt: nothing in the search space can change while a "
                "trial trains: add a setting of the estimator or of influence"
            )
        path = self.out / "sweep.json"
        if not path.exists():
            self._begin(path)
            return
        began, requested = json.loads(path.read_text()), self._identity()
        changed = sorted(key for key in requested if began.get(key) != requested[key])
        if changed:
            raise ValueError(
                f"{self.out} holds a sweep with another {' and another '.join(changed)}"
                ": use the same to continue it, or another --out"
            )

    def _begin(self, path: Path) -> None:
        with writing(f"the sweep's folder {self.out}", "choose another --out"):
            self.out.mkdir(parents=True, exist_ok=True)
            if any(self.out.iterdir()):
                raise ValueError(
                    f"{self.out} holds something that is no sweep: choose an empty or "
                    "new folder for --out"
                )
            write_json(path, self._identity())

    def _identity(self) -> dict[str, Any]:
        how = to_dict(self.how)
        kept = {name: how[name] for name in how if name not in MAY_GROW}
        space = {name: str(each) for name, each in self.space.items()}
        return json.loads(
            json.dumps({"config": to_dict(self.config), "search": kept, "space": space})
        )
