"""A ladder of problems: trials are tried on cheaper ones first, and the best go on.

Fewer pixels, classes or steps make a problem of the same kind that takes a part of the
time (Li et al., "Hyperband", JMLR 2018, use parts of the data so). Whether who leads on
one leads on the next is measured on the way: see `sweep.results.agreement_of`.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from infaug.experiment.sweep.changes import DEFAULT, apply
from infaug.experiment.sweep.ledger import Ledger
from infaug.experiment.sweep.plan import Sweep
from infaug.experiment.sweep.space import parse_value

Run = Callable[[Sweep, int], None]


def problems_of(sweep: Sweep) -> list[Sweep]:
    """The problems that `sweep.ladder` names, the cheapest one first, then its own.

    Raises:
        ValueError: for a setting that there is not, or is refused.
    """
    how = replace(sweep.how, ladder=(), minutes=None, worker_hours=None)
    cheaper = [
        replace(
            sweep.below(f"ladder/{number}"),
            config=apply(sweep.config, parse_problem(text)),
            how=how,
        )
        for number, text in enumerate(sweep.how.ladder, start=1)
    ]
    return [*cheaper, sweep]


def climb(problems: Sequence[Sweep], run: Run) -> list[Sweep]:
    """Run the trials of every problem, and take the best to the next one.

    Args:
        problems: the cheapest one first; their folders exist.
        run: runs the trials of a problem that have not ended; its second argument is
            the number of problems that follow. If there are any, it leaves none open.

    Returns:
        The problems, which know which trials came to them.
    """
    climbed: list[Sweep] = []
    for number, problem in enumerate(problems, start=1):
        here = _with_best(climbed[-1], problem) if climbed else problem
        run(here, len(problems) - number)
        climbed.append(here)
    return climbed


def _with_best(before: Sweep, problem: Sweep) -> Sweep:
    """The problem with the best trials of the one before.

    Those that came in an earlier command stay, though others are better now.
    """
    known, ledger = before.ledger(), problem.ledger()
    for name in promoted(before, known):
        if name not in ledger.trials:
            ledger.propose(name, known.trials[name].changes)
    return replace(problem, only=tuple(sorted(ledger.trials)))


def parse_problem(text: str) -> dict[str, object]:
    """A cheaper problem's settings from its text.

    >>> parse_problem("data.image_size=64,rounds.base=crop_flip")
    {'data.image_size': 64, 'rounds.base': 'crop_flip'}

    Raises:
        ValueError: if it cannot be read.
    """
    settings: dict[str, object] = {}
    for word in text.split(","):
        name, equals, value = word.partition("=")
        if not equals:
            raise ValueError(f"--sweep.ladder {text!r}: give name=value,name=value")
        settings[name] = parse_value(value)
    return settings


def promoted(problem: Sweep, ledger: Ledger) -> list[str]:
    """The trials that go on: one in `reduction`, and the first settings in any case.

    They are what others are compared with at last. A trial that failed stays behind.
    """
    sound = [
        trial
        for trial in ledger.named(problem.names)
        if trial.rounds and trial.end != "failed"
    ]
    best = sorted(sound, key=lambda t: t.rank(problem.how.objective), reverse=True)
    count = math.ceil(len(problem.names) / problem.how.reduction)
    going = {trial.name for trial in best[:count]}
    return sorted(going | {trial.name for trial in sound if trial.name == DEFAULT})
