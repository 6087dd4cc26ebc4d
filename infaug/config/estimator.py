"""E: how it learns, when its view is weakened, and its one-step rival."""

from dataclasses import dataclass

from infaug.config.fields import require


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
    probability: float = 1.0
    """Share of images that the learned view changes; the others pass as they are."""
    warmup_rounds: int = 0
    """Rounds over which that share grows from 0 to `probability`."""
    candidates: int = 1
    """Draws of the noise among which the one of least predicted influence is used."""
    view_temperature: float | None = None
    """Views weigh softmax(-influence / (|S| temperature)); None: equally."""

    def __post_init__(self):
        rate, noise = self.learning_rate, self.tau_noise
        require(rate > 0, "estimator.learning_rate", "must be > 0", rate)
        require(noise >= 0, "estimator.tau_noise", "must be >= 0", noise)
        share = self.probability
        require(0 <= share <= 1, "estimator.probability", "must be in [0, 1]", share)
        grown = self.warmup_rounds
        require(grown >= 0, "estimator.warmup_rounds", "must be >= 0", grown)
        many = self.candidates
        require(many >= 1, "estimator.candidates", "must be >= 1", many)
        heat = self.view_temperature
        if heat is not None:
            require(heat > 0, "estimator.view_temperature", "must be > 0", heat)
        dropped = self.tau_dropout
        rule = "must lie in [0, 1)"
        require(0 <= dropped < 1, "estimator.tau_dropout", rule, dropped)
        size = self.batch_size
        require(size >= 1, "estimator.batch_size", "must be >= 1", size)


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


@dataclass(frozen=True, kw_only=True)
class BilevelConfig:
    """The row `bilevel_learned`: E learns through one step of all of F, not by s_val.

    All else of it is E's: see `estimator`.
    """

    rate: float = 0.1
    """Length of that step, per unit of gradient: plain gradient descent, whatever
    optimizer F has. Towards 0: gradients of both losses at the same F."""
    batch_size: int = 64
    """Influence images whose loss is looked at after the step; all of them if there are
    fewer. A new minibatch for each step of E."""

    def __post_init__(self):
        rate, size = self.rate, self.batch_size
        require(0 < rate < float("inf"), "bilevel.rate", "must be > 0", rate)
        require(size >= 1, "bilevel.batch_size", "must be >= 1", size)
