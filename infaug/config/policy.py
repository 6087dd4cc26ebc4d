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
    warmup_rounds: int = 1
    """Rounds whose refresh teaches nothing yet: influence by an F that has hardly begun
    misleads. Always fewer than the rounds that are followed by a refresh."""
    learning_rate: float = 3.0
    """Of a natural gradient: what a choice's logit gains per unit of its advantage."""
    shrinkage: float = 8.0
    """Pseudo-images of no advantage that are counted with those of every choice."""
    decay: float = 0.003
    """Per unit of learning rate, of the logits towards the uniform policy."""
    min_entropy: float = 0.3
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
        for name in ("warmup_rounds", "shrinkage", "decay"):
            value = getattr(self, name)
            require(value >= 0, f"policy.{name}", "must be >= 0", value)
        rate, share = self.learning_rate, self.min_entropy
        require(rate > 0, "policy.learning_rate", "must be > 0", rate)
        require(
            rate * self.decay < 1, "policy.decay",
            "must be < 1 / policy.learning_rate", self.decay,
        )  # fmt: skip
        require(0 <= share < 1, "policy.min_entropy", "must lie in [0, 1)", share)
