"""The policy over ready-made operations, and how it learns."""

from dataclasses import dataclass

from infaug.config.fields import require, within


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
        named, rule = bool(self.operations), "must name at least one operation"
        require(named, "policy.operations", rule, self.operations)
        within(
            self, "policy", num_strengths=">= 1", num_draws=">= 1", batch_size=">= 1",
            warmup_rounds=">= 0", shrinkage=">= 0", decay=">= 0", learning_rate="> 0",
            min_entropy="[0, 1)",
        )  # fmt: skip
        slow, rule = self.learning_rate * self.decay, "must be < 1 / its learning_rate"
        require(slow < 1, "policy.decay", rule, self.decay)
