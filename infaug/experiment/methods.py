"""Which methods an experiment runs: those that are named, or those of its controls."""

from infaug.config import Controls, RunConfig
from infaug.training.methods import (
    FEATURES_OF,
    METHODS,
    POLICY_FROM,
    RANDOM,
    RANDOM_METHODS,
    USUAL,
    Method,
)

_LEARNED = ("base_learned", "pooled_learned")
_OF_CONTROLS: dict[Controls, tuple[str, ...]] = {
    "none": _LEARNED,
    "quick": ("base", "base_learned", *RANDOM_METHODS, "pooled", "pooled_learned"),
    "full": USUAL,
}


# What an experiment with folds runs as far as there is time: the strongest of what
# costs no more than plain training (by ray_jobs/regret.py), plain training, others. A
# learned method comes after the control that differs in its view alone.
_FOR_A_TARGET: tuple[tuple[str, ...], ...] = (
    ("pooled_uniform",),
    ("pooled",),
    ("pooled_even",),
    ("policy_online", "pooled_policy"),
    ("pooled_policy_alone", "policy_alone"),
    ("pooled_tuned", "even_tuned", "even_stretched"),
    ("base",),
    ("pooled_adapted", "adapted"),
    ("pooled_stretched",),
    ("pooled_trivial",),
    ("uniform_policy", "policy_learned"),
    ("late", "late_learned"),
)
# Where images judge that are like those trained on, these need not count for more.
_WITHOUT_A_TARGET: tuple[tuple[str, ...], ...] = (
    ("pooled",),
    ("pooled_trivial",),
    ("pooled_even", "pooled_uniform"),
    ("policy_online", "pooled_policy"),
    ("pooled_tuned",),
    ("pooled_stretched",),
    ("base",),
)


def methods_of(config: RunConfig) -> list[Method]:
    """The methods that are run; what another one needs comes before it.

    Controls whose F drives E, or whose features a critic sees, are run in any case. The
    oracle is among all of them only where use differs from training by a shift that is
    known.

    Raises:
        ValueError: if `config.methods` names a method that there is not.
    """
    if config.methods:
        wanted = _named(config)
    else:
        assert config.controls != "auto", "resolved by the run"
        wanted = set(_OF_CONTROLS[config.controls])
        if not config.data.shift.divides_use_from_training:
            wanted -= {"oracle"}
        if config.estimator.generator_learning_rate == 0:
            wanted -= {"base_random_final"}  # It would equal base_random_initial.
    if config.rounds.s_val == "once":
        wanted |= {METHODS[name].control or name for name in wanted}
    if config.adversarial.fit == "ragan":
        wanted.add(FEATURES_OF)
    return [method for method in METHODS.values() if method.name in wanted]


def answers_of(config: RunConfig) -> list[list[str]]:
    """What is trained if no methods are named, in groups, the first ones first."""
    has_target = config.data.target_source is not None
    groups = [
        [name for name in group if not _in_vain(METHODS[name], config)]
        for group in (_FOR_A_TARGET if has_target else _WITHOUT_A_TARGET)
    ]
    return [group for group in groups if group]


def methods_to_train(config: RunConfig) -> list[Method]:
    """`methods_of` a config that is about to be trained.

    Raises:
        ValueError: as `methods_of` does, or for a method that would do nothing.
    """
    methods = methods_of(config)
    for method in methods:
        if why := _in_vain(method, config):
            raise ValueError(f"methods: {method.name} {why}, or leave it out")
    return methods


def _in_vain(method: Method, config: RunConfig) -> str:
    """Why what is special in a method would do nothing, and what to change; or ""."""
    if method.has_learned_view and config.rounds.rounds == 1:
        return (
            "learns at the end of every round but the last, and there is one "
            "(rounds.rounds): give --num-rounds 2 or more"
        )
    if method.adapts and config.classifier.freeze in ("early", "body"):
        return (
            "changes the statistics of BatchNorm, and --freeze "
            f"{config.classifier.freeze} keeps them: give --freeze none"
        )
    return ""


def _named(config: RunConfig) -> set[str]:
    names = set(config.methods)
    if RANDOM in names:
        names = names - {RANDOM} | set(RANDOM_METHODS)
    if unknown := names - set(METHODS):
        raise ValueError(
            f"methods: there is no method {sorted(unknown)[0]!r}: choose among "
            f"{', '.join(METHODS)}, {RANDOM}"
        )
    if "oracle" in names and not config.data.shift.divides_use_from_training:
        raise ValueError(
            "methods: the oracle trains on images shifted as the test images are: set "
            "--data.shift, or leave the oracle out"
        )
    if config.classifier.begins_at_random:
        for name in names:
            if METHODS[name].head_first:
                raise ValueError(
                    f"methods: {name} is for pretrained networks, and this one begins "
                    "at random: give --weights, or leave it out"
                )
    if any(METHODS[name].generator == "final" for name in names):
        names.add("base_learned")
    if any(METHODS[name].policy == "learned" for name in names):
        names.add(POLICY_FROM)
    return names
