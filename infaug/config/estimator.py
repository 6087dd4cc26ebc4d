"""E: how it learns, when its view is weakened, and its one-step rival."""

from dataclasses import dataclass

from infaug.config.fields import within


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
    field_penalty: float = 0.01
    """Weight of the mean squared field, which favours the identity."""
    tau_noise: float = 0.5
    """Standard deviation of the Gaussian noise added to tau, also in use."""
    tau_dropout: float = 0.0
    """Probability that an entry of tau is set to zero, also in use."""
    probability: float = 1.0
    """Share of images that the learned view changes; the others pass as they are."""
    warmup_rounds: int = 0
    """Rounds over which that share grows from 0 to `probability`."""

    def __post_init__(self):
        within(
            self, "estimator", batch_size=">= 1", learning_rate="> 0",
            tau_noise=">= 0", tau_dropout="[0, 1)", probability="[0, 1]",
            warmup_rounds=">= 0",
        )  # fmt: skip


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
        within(
            self, "backoff", least_accuracy="[0, 1]", most_saturation="[0, 1]",
            patience_rounds=">= 0", attempts=">= 0",
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class BilevelConfig:
    """`bilevel_learned`: E learns through one step of all of F, not by s_val.

    All else of it is E's: see `estimator`.
    """

    rate: float = 0.1
    """Length of that step, per unit of gradient: plain gradient descent, whatever
    optimizer F has. Towards 0: gradients of both losses at the same F."""
    batch_size: int = 64
    """Influence images whose loss is looked at after the step; all of them if there are
    fewer. A new minibatch for each step of E."""

    def __post_init__(self):
        within(self, "bilevel", rate="(0, inf)", batch_size=">= 1")
