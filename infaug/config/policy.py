"""The policy over ready-made operations, and how it learns."""

from dataclasses import dataclass

from infaug.config.fields import require


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
    entropy_weight: float = 0.05
    """Of the entropy in nats, against a reward of unit variance."""
    min_entropy: float = 0.5
    """Entropy that the policy keeps, as a share of that of the uniform policy; where an
    update would take more, its probabilities are flattened until it has that much."""

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
        rate, weight, share = self.learning_rate, self.entropy_weight, self.min_entropy
        require(rate > 0, "policy.learning_rate", "must be > 0", rate)
        require(weight >= 0, "policy.entropy_weight", "must be >= 0", weight)
        require(0 <= share < 1, "policy.min_entropy", "must lie in [0, 1)", share)
