"""E and how it learns."""

from dataclasses import dataclass

from infaug.config.check import require


@dataclass(frozen=True, kw_only=True)
class EstimatorConfig:
    """E and how it learns, together with G."""

    batch_size: int = 64
    """Images per step, over all workers."""
    learning_rate: float = 3e-4
    """Peak of a cosine schedule, Adam, for E."""
    generator_learning_rate: float = 1e-5
    """The same for G. Small: what E should learn does not drift into G, whose random
    tau is the control; 0 keeps G as it is."""
    restraint: float = 0.01
    """Weight of the mean squared field, which favours the identity."""
    tau_noise: float = 0.5
    """Standard deviation of the Gaussian noise added to tau, also in use."""
    tau_dropout: float = 0.0
    """Probability that an entry of tau is set to zero, also in use."""

    def __post_init__(self):
        rate, noise = self.learning_rate, self.tau_noise
        require(rate > 0, "estimator.learning_rate", "must be > 0", rate)
        require(noise >= 0, "estimator.tau_noise", "must be >= 0", noise)
        dropped = self.tau_dropout
        rule = "must lie in [0, 1)"
        require(0 <= dropped < 1, "estimator.tau_dropout", rule, dropped)
        size = self.batch_size
        require(size >= 1, "estimator.batch_size", "must be >= 1", size)
