"""sweep.jsonl: what was proposed, what each trial reported, and how it ended.

A JSON object a line, written by the driver alone, each on disk before the next thing
happens. A sweep that was killed continues from it: trials that ended are not run again,
others keep their names, settings and run folders. So every trial ends exactly once.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from infaug.config import Objective
from infaug.record.journal import append_line, read_lines

# completed: all steps; stopped: by the scheduler; failed: by a mistake or deaths.
End = Literal["completed", "stopped", "failed"]


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a trial stands after a round, on the selection split."""

    steps: int
    """Steps of F so far."""
    loss: float
    """Nats."""
    top1: float
    """Percent."""
    seconds: float
    """Of work so far; what a kill made run twice counts twice."""

    def merit(self, objective: Objective) -> float:
        """Larger is better."""
        return -self.loss if objective == "loss" else self.top1


@dataclass
class Tried:
    """A trial as far as it is known."""

    name: str
    changes: dict[str, Any]
    home: str
    """Its run folder; another one once it has taken over a better trial's weights."""
    rounds: list[Progress] = field(default_factory=list)
    end: End | None = None
    why: str = ""

    @property
    def last(self) -> Progress | None:
        """Its last report."""
        return self.rounds[-1] if self.rounds else None

    def rank(self, objective: Objective) -> tuple[bool, int, float]:
        """Larger is better: those with all steps, then those that came further."""
        if self.last is None:
            return False, 0, 0.0
        merit = self.last.merit(objective)
        return self.end == "completed", self.last.steps, merit

    def reached(self, steps: int) -> Progress | None:
        """The first report at or after a step."""
        return next((each for each in self.rounds if each.steps >= steps), None)

    def at(self, steps: int) -> Progress | None:
        """The last report at or before a step."""
        until = [each for each in self.rounds if each.steps <= steps]
        return until[-1] if until else None


class Ledger:
    """The file, and its trials by name."""

    def __init__(self, path: Path, push: Callable[[], None] | None = None):
        self.path, self._push = path, push
        self.trials: dict[str, Tried] = {}
        for line in read_lines(path):
            self._take(line)

    def __getstate__(self) -> dict[str, Any]:
        """Tune keeps a copy of all that it is given; that one uploads nothing."""
        return {**self.__dict__, "_push": None}

    def propose(self, name: str, changes: Mapping[str, Any]) -> None:
        """A new trial."""
        assert name not in self.trials, f"{name} was proposed before"
        self._write({"event": "proposed", "trial": name, "changes": dict(changes)})

    def report(
        self, name: str, progress: Progress, changes: Mapping[str, Any], home: str
    ) -> None:
        """A round has ended; what a continued trial says again is left out."""
        known = self.trials[name]
        is_here = home == known.home
        if is_here and known.rounds and progress.steps <= known.rounds[-1].steps:
            return
        line: dict[str, Any] = {"event": "round", "trial": name, **asdict(progress)}
        if not is_here:
            line |= {"changes": dict(changes), "home": home}
        self._write(line)

    def finish(self, name: str, end: End, why: str = "") -> None:
        """A trial has ended, once and for all."""
        assert self.trials[name].end is None, f"{name} ended before"
        line = {"event": "ended", "trial": name, "end": end}
        self._write(line | ({"why": why} if why else {}))

    def open_of(self, names: Sequence[str]) -> list[str]:
        """Those that have not ended."""
        known = self.trials
        return [name for name in names if name not in known or known[name].end is None]

    def named(self, names: Sequence[str]) -> list[Tried]:
        """The trials of these names, as far as they were proposed."""
        return [self.trials[name] for name in names if name in self.trials]

    @property
    def seconds(self) -> float:
        """Of all trials' work so far, to the last round of each."""
        lasts = [trial.last for trial in self.trials.values()]
        return sum((last.seconds for last in lasts if last), 0.0)

    def _write(self, line: dict[str, Any]) -> None:
        append_line(self.path, line)
        self._take(line)
        if self._push:
            self._push()

    def _take(self, line: Mapping[str, Any]) -> None:
        name = line["trial"]
        if line["event"] == "proposed":
            self.trials[name] = Tried(name, dict(line["changes"]), name)
            return
        trial = self.trials[name]
        if line["event"] == "round":
            found = Progress(**{key: line[key] for key in Progress.__annotations__})
            # What another trial's weights stand for begins where that one stood.
            trial.rounds = [each for each in trial.rounds if each.steps < found.steps]
            trial.rounds.append(found)
            trial.home = line.get("home", trial.home)
            trial.changes = dict(line.get("changes", trial.changes))
        else:
            trial.end, trial.why = line["end"], line.get("why", "")
