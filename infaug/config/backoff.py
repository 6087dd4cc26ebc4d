"""When the learned view is weakened, and when it is given up."""

from dataclasses import dataclass

from infaug.config.check import require


@dataclass(frozen=True, kw_only=True)
class BackoffConfig:
    """When the learned view is weakened, and when it is given up."""

    least_accuracy: float = 0.5
    """F's accuracy on x_aug, as a share of that on x, below which collapse is
    suspected; 0 never suspects."""
    most_saturation: float = 0.5
    """Share of tau, or of fields, beyond 95 % of their bounds from which on collapse is
    suspected; 1 never does."""
    patience_rounds: int = 3
    """Rounds without suspicion after the selection split has cleared the view."""
    attempts: int = 3
    """Times the strength is halved before the view is given up."""

    def __post_init__(self):
        for name in ("least_accuracy", "most_saturation"):
            value = getattr(self, name)
            require(0 <= value <= 1, f"backoff.{name}", "must be in [0, 1]", value)
        patience, attempts = self.patience_rounds, self.attempts
        require(patience >= 0, "backoff.patience_rounds", "must be >= 0", patience)
        require(attempts >= 0, "backoff.attempts", "must be >= 0", attempts)
