"""The policy over ready-made operations, and how it learns."""

from dataclasses import dataclass

from infaug.config.check import require


@dataclass(frozen=True, kw_only=True)
class PolicyConfig:
    """The policy over ready-made operations, and how it learns."""

    operations: tuple[str, ...] = (
        "identity", "rotate", "move_x", "move_y", "scale", "shear", "contrast",
        "brightness", "invert", "gamma", "blur", "noise", "posterize",
    )  # fmt: skip
    """Names from the table in `transform.operations`, which has more: flip_x, flip_y,
    sharpen, solarize, min_max, equalize, erase, saturate and hue."""
    num_strengths: int = 9
    """Intervals into which an operation's range is cut; a strength is drawn uniformly
    from the interval that the policy picks."""
    num_draws: int = 3
    """Operations that an image goes through, one after another."""
    batch_size: int = 256
    """Images per update, over all workers, rounded down to whole batch groups;
    rounds.estimator_steps updates follow each refresh of s_val."""
    learning_rate: float = 0.15
    """Adam, on the logits."""
    min_entropy: float = 0.5
    """Entropy that the policy keeps, as a share of that of the uniform policy. Whenever
    it falls below, the weight of the entropy grows; above, it shrinks (as in Soft
    Actor-Critic; Haarnoja et al., 2018)."""

    def __post_init__(self):
        require(
            bool(self.operations),
            "policy.operations",
            "must name at least one operation",
            self.operations,
        )
        for name in ("num_strengths", "num_draws", "batch_size"):
            value = getattr(self, name)
            require(value >= 1, f"policy.{name}", "must be >= 1", value)
        rate, share = self.learning_rate, self.min_entropy
        require(rate > 0, "policy.learning_rate", "must be > 0", rate)
        require(0 <= share < 1, "policy.min_entropy", "must lie in [0, 1)", share)
