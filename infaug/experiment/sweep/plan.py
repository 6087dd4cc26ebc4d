"""A sweep: what is searched, how, and in which folder.

OUT/sweep.json         config, search space and how it is searched
OUT/sweep.jsonl        what happened, see `sweep.ledger`
OUT/trials/NAME/       a run folder for each trial
OUT/control/           the control whose F drives all trials, where there is one
OUT/ladder/K/          the same for the K-th of cheaper problems, see `sweep.ladder`
OUT/confirm/           the best and the first settings on fresh seeds
OUT/best.json          the best settings, for `infaug fit --config`
OUT/trials.csv         all trials
OUT/result.json        the best trial, what confirmed it, test accuracy: it is finished
OUT/*.png              pictures
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from infaug.config import RunConfig, SweepConfig, to_dict
from infaug.experiment.methods import methods_of
from infaug.experiment.sweep.changes import (
    CONTROL,
    apply,
    check_space,
    learned_method,
    may_move,
    names,
    values_of,
)
from infaug.experiment.sweep.ledger import Ledger
from infaug.experiment.sweep.space import Space
from infaug.experiment.sweep.trial import Trial
from infaug.record.atomic import write_json, writing
from infaug.storage import location

# More of them continues a sweep; everything else would make it another one.
MAY_GROW = ("trials", "minutes", "worker_hours")


@dataclass(frozen=True, kw_only=True, eq=False)
class Sweep:
    """What is searched, how, and where.

    Attributes:
        config: what every trial begins from; `data.source` as all processes find it.
        how: trials, scheduler, searcher, objective.
        space: distributions by setting.
        out: the folder, which all nodes must see; of a sweep at a URL this machine's.
        url: of the sweep, if it is kept at one.
        only: the trials, where some have been left behind on cheaper problems.
        keeps_weights: whether networks stay when a trial ends.
    """

    config: RunConfig
    how: SweepConfig
    space: Space
    out: Path
    only: tuple[str, ...] | None = None
    keeps_weights: bool = False
    url: str | None = None

    @property
    def names(self) -> list[str]:
        """Of all trials."""
        return names(self.how.trials) if self.only is None else list(self.only)

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

    @property
    def control(self) -> "Sweep | None":
        """The one trial of the method whose F drives every trial, or None.

        Where s_val is solved once a trial needs it; see `in_mode`.
        """
        needed = methods_of(replace(self.config, methods=(self.how.method,)))
        controls = [each.name for each in needed if not each.has_learned_view]
        if not controls or self.keeps_weights:
            return None
        how = replace(
            self.how,
            method=controls[-1],
            scheduler="none",
            searcher="random",
            ladder=(),
        )
        below = self.below("control")
        return replace(below, how=how, only=(CONTROL,), keeps_weights=True)

    def trial(self, changes: Mapping[str, Any]) -> Trial:
        """What is trained with some changes.

        Raises:
            ValueError: if they do not go together.
        """
        control = self.control
        return Trial(
            method=self.how.method,
            seed=self.how.seed,
            config=apply(self.config, changes),
            control=control.home(CONTROL) if control else None,
        )

    def place(self, name: str) -> Path | str:
        """A file or folder of it, as all nodes find it: a path or a URL."""
        if self.url is None:
            return self.out / name
        return (location(self.url) / name).url

    def home(self, name: str) -> Path | str:
        """A trial's run folder."""
        return self.place(f"trials/{name}")

    def below(self, name: str) -> "Sweep":
        """The same in a folder below its own."""
        return replace(
            self, out=self.out / name, url=str(self.place(name)) if self.url else None
        )

    def ledger(self, push: Callable[[], None] | None = None) -> Ledger:
        """What has happened so far; `push` is called after everything that happens."""
        return Ledger(self.out / "sweep.jsonl", push)

    def enter(self) -> None:
        """Begin in the folder, or check that it is this sweep that began there.

        Raises:
            ValueError: if the space cannot be searched, or the folder holds something
                else or cannot be written.
        """
        check_space(self.space, self.config)
        learned_method(self.how.method)
        if self.how.is_population:
            self._check_moving()
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

    def _check_moving(self) -> None:
        """Refuse a space in which nothing can change while a trial trains."""
        who = f"sweep.scheduler {self.how.scheduler}"
        if self.url:
            raise ValueError(f"{who}: trials copy run folders, so --out must be one")
        moving = [name for name in self.space if may_move(name)]
        if not moving:
            raise ValueError(
                f"{who}: nothing in the search space can change while a trial trains: "
                "add a setting of the estimator, the policy or influence"
            )
        first = values_of(self.config, self.space)
        outside = [name for name in moving if first[name] not in self.space[name]]
        if self.how.scheduler == "pb2" and outside:
            name = outside[0]
            raise ValueError(
                f"{who}: the sweep begins with {name} {first[name]}, which is not in "
                f"{self.space[name]}: widen --space"
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
