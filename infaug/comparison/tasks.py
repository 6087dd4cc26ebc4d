"""What a run does, in order, and what one task takes from those before it."""

from torch import Tensor

from infaug.config import RunConfig
from infaug.record.folder import RunFolder
from infaug.rounds import estimator_steps
from infaug.rows import FEATURES_OF, ROWS, Row, rows_of

GENERATOR = "generator"

State = dict[str, Tensor]


def tasks_of(config: RunConfig) -> list[tuple[str, int]]:
    """Names and seeds: rows, and `generator` where G is fitted before them."""
    names = [row.name for row in rows_of(config)]
    if config.adversarial.fit == "wgan_gp":
        names.insert(0, GENERATOR)
    elif config.adversarial.fit == "ragan":
        names.insert(names.index(FEATURES_OF) + 1, GENERATOR)
    return [(name, seed) for seed in range(config.seeds) for name in names]


def steps_of(name: str, config: RunConfig) -> dict[str, int]:
    """Steps of each phase of a whole task."""
    if name == GENERATOR:
        return {"adversary": config.adversarial.steps}
    rounds = config.rounds
    steps = {"classify": rounds.rounds * rounds.classifier_steps}
    if ROWS[name].is_learned:
        steps["refresh"] = 1 if rounds.s_val == "once" else rounds.rounds - 1
        steps["estimate"] = estimator_steps(rounds)
    return steps


def features_for(config: RunConfig, seed: int, folder: RunFolder) -> State | None:
    """The F whose features a critic sees, where there is such a critic."""
    if config.adversarial.fit != "ragan":
        return None
    return folder.weights(FEATURES_OF, seed, "classifier")


def driver_for(
    row: Row, config: RunConfig, seed: int, folder: RunFolder
) -> State | None:
    """The F that drives E of this row, where s_val is solved once."""
    if row.control is None or config.rounds.s_val != "once":
        return None
    return folder.weights(row.control, seed, "classifier")


def generator_for(
    row: Row, config: RunConfig, seed: int, folder: RunFolder
) -> State | None:
    """The G that a row begins with: that of `base_learned`, the fitted one, or none."""
    if row.generator == "final":
        prefix = "generator."
        tensors = folder.weights("base_learned", seed, "transform").items()
        return {k.removeprefix(prefix): v for k, v in tensors if k.startswith(prefix)}
    if row.uses_generator and config.adversarial.fit != "none":
        return folder.weights(GENERATOR, seed, GENERATOR)
    return None
