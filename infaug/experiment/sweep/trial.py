"""One trial: a method trained with some settings, judged after every round.

It is an experiment of one training, in a run folder of its own, from whose last
checkpoint it continues; but its test split is empty, and the end of each round is
reported to the scheduler, which may stop it.

PBT hands weights from a good trial to a bad one: a copy of a run folder as it stood at
the end of a round. The taker goes on from it in a new folder, with its own settings.
"""

import contextlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from infaug.config import RunConfig, difference, from_dict, to_dict
from infaug.data.images import Source
from infaug.data.problem import divide
from infaug.experiment.execute import run_planned
from infaug.experiment.methods import methods_to_train
from infaug.experiment.plan import resolve_config
from infaug.experiment.sweep.ledger import Progress
from infaug.experiment.trainings import plan_trainings
from infaug.precision import pick_device
from infaug.record.atomic import write_json
from infaug.record.folder import RunFolder
from infaug.record.steps import Interval, Metrics, MetricsWriter, StepInfo
from infaug.record.store import GeneratorStore
from infaug.storage import location
from infaug.training.train import Services
from infaug.transfer import fetch, remove
from infaug.world import World

Report = Callable[[Progress], None]
LOCK_WAIT_S = 60.0  # for a process that a killed driver left behind
# Parts of a config, and the list of methods, on which no control depends.
LEARNED_PARTS = ("estimator", "transform", "influence", "policy", "methods")
LEFT_BEHIND = ("lock", "tensorboard", "config.json", "home.json")  # of a copied folder


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What is trained: a method that learns, with the changes applied to its config."""

    method: str
    seed: int
    config: RunConfig
    control: Path | str | None = None
    """A run folder whose trainings are its own, if nothing they depend on changes."""


def run_trial(
    trial: Trial,
    source: Source,
    place: Path | str,
    cache: Path | None,
    report: Report,
    world: World | None = None,
) -> None:
    """Train a trial, or continue it in its folder, and report each round it keeps.

    Rounds of before are reported again first.

    Args:
        trial: what is trained.
        source: its test split is empty; see `confirm.without_test`.
        place: the run folder, a path or a URL.
        cache: where fitted generators are kept; None for none.
        report: called after each round by all who train; may raise, to end the trial.
        world: who trains together; None: this process alone.

    Raises:
        ValueError: for settings that cannot work, and for a loss that is not finite.
    """
    assert source.test is not None, "trials get no test images"
    assert len(source.test) == 0, "trials get no test images"
    folder, device, world = RunFolder(place), pick_device(), world or World()
    world.first(lambda: folder.bring(LOCK_WAIT_S).enter(trial.config))
    config = resolve_config(trial.config, source.train.image_shape, device)
    with contextlib.ExitStack() as stack:
        world.first(lambda: stack.enter_context(folder.locked(LOCK_WAIT_S)))
        world.first(lambda: folder.resolve(config))
        world.first(lambda: take_trainings(trial.control, folder))
        rounds = RoundReports(trial, folder, report)
        rounds.repeat(world.first(lambda: kept_rounds(folder, trial)))
        methods = methods_to_train(replace(config, methods=(trial.method,)))
        plan = plan_trainings(config, methods, [trial.seed])
        run_planned(
            [replace(training, sees_test=False) for training in plan],
            partial(divide, source, config.data),
            folder,
            world,
            device,
            services=Services(writers=[rounds]),
            store=GeneratorStore(cache) if cache else None,
            shown=False,
        )


class RoundReports(MetricsWriter):
    """Reports the selection split to Tune once the end of a round is kept."""

    waits_for_checkpoint = True

    def __init__(self, trial: Trial, folder: RunFolder, report: Report):
        self.trial, self.report = trial, report
        lines = folder.lines("timings.jsonl")
        self.seconds = sum((line["seconds"] for line in lines), 0.0)
        self._found: Metrics | None = None

    def repeat(self, kept: Sequence[Mapping[str, Any]]) -> None:
        """Report the rounds that are in the folder already."""
        for line in kept:
            self._report(line["round"], line)

    def metrics(self, info: StepInfo, metrics: Metrics) -> None:
        """Remember what the last step of a round found."""
        if info.method == self.trial.method and "selection_loss" in metrics:
            self._found = metrics

    def timing(self, info: StepInfo, interval: Interval) -> None:
        """The checkpoint is written: a trial that ends here can be continued."""
        self.seconds += interval.seconds
        if self._found is not None:
            found, self._found = self._found, None
            self._report(info.round, found)

    def _report(self, round_: int, found: Metrics) -> None:
        steps = (round_ + 1) * self.trial.config.rounds.classifier_steps
        loss, top1 = found["selection_loss"], found["selection_top1"]
        assert not isinstance(loss, str), "it is a number"
        assert not isinstance(top1, str), "it is a number"
        self.report(
            Progress(steps=steps, loss=loss, top1=top1, seconds=round(self.seconds, 2))
        )


def take_trainings(control: Path | str | None, folder: RunFolder) -> None:
    """Copy the control's finished trainings, where they would be the same here."""
    there = location(str(control))
    if control is None or not (there / "config.json").is_file():
        return
    wanted = folder.config()
    trained = from_dict(RunConfig, json.loads((there / "config.json").read_bytes()))
    parts = {name: getattr(wanted, name) for name in LEARNED_PARTS}
    if difference(replace(trained, **parts), wanted):
        return
    files = (there / "trainings").names_below()
    for name in sorted(f.partition("/")[0] for f in files if "/result.json" in f):
        taken = folder.path / "trainings" / name
        if not taken.exists():
            half = taken.with_name(f"half-{name}")
            shutil.rmtree(half, ignore_errors=True)
            for file in files:
                # Its time is the control's own.
                if file.startswith(f"{name}/") and "/timings.jsonl" not in file:
                    to = half / file.removeprefix(f"{name}/")
                    fetch(there / f"trainings/{file}", to)
            half.rename(taken)


def kept_rounds(folder: RunFolder, trial: Trial) -> list[dict[str, Any]]:
    """What a run folder says of the ends of rounds."""
    lines = folder.lines("metrics.jsonl")
    return [x for x in lines if x["method"] == trial.method and "selection_loss" in x]


def forget(home: Path | str) -> None:
    """Of a trial that has ended keep what it found, not its networks."""
    place = location(str(home))
    for name in place.names_below():
        if "/checkpoints/" in name or name.endswith(".safetensors"):
            remove(place / name)


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
    shutil.copytree(run, taken, ignore=shutil.ignore_patterns(*LEFT_BEHIND))
    write_json(taken / "asked.json", to_dict(trial.config))
    return taken.name
