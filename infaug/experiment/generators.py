"""One seed's G, fitted adversarially: found in a cache, or fitted and kept."""

import warnings
from functools import partial

from torch import Tensor

from infaug.record.recorder import Recorder
from infaug.record.store import GeneratorStore
from infaug.training.generator_fit import GeneratorFit
from infaug.training.rows import GENERATOR


def provide_generator(
    fit: GeneratorFit,
    state: dict[str, Tensor] | None,
    recorder: Recorder,
    store: GeneratorStore | None,
) -> None:
    """Leave G in the run folder; all rows of the seed begin with it.

    Args:
        fit: as it begins; changed.
        state: where a checkpoint was taken inside the fit.
        recorder: of the run.
        store: generators of this and other runs.
    """
    num_steps = fit.config.adversarial.steps
    cached = _look_up(fit, store) if state is None else None
    if cached is not None:
        fit.adversaries.average.load_state_dict(cached)
        recorder.display.skip(recorder.cell, "adversary", num_steps)
    else:
        if state is not None:
            fit.load(state)
        left = recorder.left(0, "adversary", num_steps)
        recorder.follow(0, "adversary", left, fit.steps(left), fit)
    fit.world.first(partial(_keep, fit, recorder, store, cached is not None))


def _look_up(
    fit: GeneratorFit, store: GeneratorStore | None
) -> dict[str, Tensor] | None:
    if store is None:
        return None
    return fit.world.first(lambda: store.find(fit.identity()))


def _keep(
    fit: GeneratorFit,
    recorder: Recorder,
    store: GeneratorStore | None,
    was_cached: bool,
) -> None:
    measured = fit.measure()
    weights = fit.adversaries.average.state_dict()
    if store is not None and not was_cached:
        try:
            store.keep(fit.identity(), weights, measured)
        except OSError as error:
            warnings.warn(
                f"the fitted generator could not be kept for other runs ({error}): "
                "this run goes on; choose another --cache",
                stacklevel=2,
            )
    about = {"row": GENERATOR.name, "seed": fit.seed}
    recorder.finish_cell({GENERATOR.name: weights}, {**about, **measured})
    recorder.display.say(
        f"generator seed {fit.seed}: {'found in the cache' if was_cached else 'fitted'}"
        f", {100 * measured['inside']:.0f} % of its flows in the affine ranges"
    )
