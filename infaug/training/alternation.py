"""The alternation: train F, refresh s_val, train E, go round again.

Every process of a run executes this page, whether there is one or many.
"""

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from infaug.classify.evaluate import BATCH_SIZE, Evaluation, evaluate
from infaug.classify.fit import fit_classifier
from infaug.config import RoundsConfig, RunConfig
from infaug.data.dataset import Labelled, to_float
from infaug.data.on_disk import ImageSet, OnDisk
from infaug.data.problem import Splits
from infaug.data.share import local_part
from infaug.estimate.fit import fit_estimator
from infaug.estimate.policy import fit_policy
from infaug.record.steps import Metrics
from infaug.record.training_logger import TrainingLogger
from infaug.training.ledger import Ledger
from infaug.training.overlap import Solver
from infaug.training.refresher import Refresher, build_refresher, fit_head_first
from infaug.training.review import review
from infaug.training.solve import correlation_with_full, is_sampled
from infaug.training.state import Training
from infaug.training.views import late_step

BEFORE = -1  # The round of what comes before the first.


def run_alternation(
    training: Training,
    splits: Splits,
    logger: TrainingLogger,
    solver: Solver | None = None,
) -> None:
    """Train a training to its end, from wherever the logger says it stands.

    Raises:
        ValueError: if a loss, a gradient or S is not finite.
    """
    rounds, method = training.config.rounds, training.method
    influence = splits.influence.to(training.device)
    selection = None
    if not splits.selection_is_in_influence:
        selection = splits.selection.to(training.device)
    ledger = Ledger(training, splits) if rounds.ledger_images != 0 else None
    if is_once := method.is_learned and rounds.s_val == "once":
        learn_once(
            training, logger, build_refresher(training, influence, solver), ledger
        )
    refresher = build_refresher(training, influence, solver)
    for round_ in range(rounds.rounds):
        # Nothing would train on what E learned in the last round; a view that was given
        # up leaves F to what it is laid upon; and once is once.
        is_last = round_ == rounds.rounds - 1
        end = (round_ + 1) * rounds.classifier_steps
        has_joined = method.is_late and end > late_step(rounds)
        goes_on = not (is_once or is_last or training.strength == 0 or has_joined)
        solves = method.solves_s_val and goes_on
        learns = method.is_learned and goes_on

        # Train F on the views of this round.
        left = logger.left(round_, "classify", rounds.classifier_steps)
        if round_ == left.start == 0:
            if method.head_first:
                fit_head_first(training)
            training.begin_classifier()
        steps = classify(
            training, round_, left, selection, refresher if solves else None
        )
        logger.follow(round_, "classify", left, steps, training)
        if method.is_learned and (training.strength == 0 or has_joined) and not is_last:
            logger.pass_over(estimate=rounds.estimator_steps, review=1)
            if method.solves_s_val:
                logger.pass_over(refresh=1)

        # Refresh s_val for the F of this round.
        if solves:
            left = logger.left(round_, "refresh", 1)
            steps = refresh(training, round_, left, refresher)
            logger.follow(round_, "refresh", left, steps, training)
        if method.learns_policy and goes_on and round_ >= first_taught(training.config):
            left = logger.left(round_, "estimate", rounds.estimator_steps)
            steps = teach_policy(training, round_, left)
            logger.follow(round_, "estimate", left, steps, training)
        if not learns:
            continue

        # Train E against that F, and that s_val if E learns by it.
        left = logger.left(round_, "estimate", rounds.estimator_steps)
        steps = estimate(training, round_, left)
        logger.follow(round_, "estimate", left, steps, training)

        # Write down what E has learned to do.
        if ledger and not logger.is_past(round_, "estimate"):
            ledger.write(round_, logger)

        # Review the view that the next round would train on.
        left = logger.left(round_, "review", 1)
        steps = review(training, round_, left, selection)
        logger.follow(round_, "review", left, steps, training)


def learn_once(
    training: Training,
    logger: TrainingLogger,
    refresher: Refresher,
    ledger: Ledger | None,
) -> None:
    """S of the F that the control method left, then all steps of E against it."""
    if training.method.solves_s_val:
        left = logger.left(BEFORE, "refresh", 1)
        steps = refresh(training, BEFORE, left, refresher)
        logger.follow(BEFORE, "refresh", left, steps, training)
    rounds = training.config.rounds
    left = logger.left(BEFORE, "estimate", estimator_steps(rounds))
    steps = estimate(training, 0, left)
    logger.follow(BEFORE, "estimate", left, steps, training)
    if ledger and not logger.is_past(BEFORE, "estimate"):
        ledger.write(BEFORE, logger)


def estimator_steps(rounds: RoundsConfig) -> int:
    """Steps of E in a whole training; none in the last round."""
    return (rounds.rounds - 1) * rounds.estimator_steps


def classify(
    training: Training,
    round_: int,
    left: range,
    selection: ImageSet | None,
    refresher: Refresher | None = None,
) -> Iterator[Metrics]:
    """Steps of F; the last one of a round also reports the selection split, if any.

    `refresher` is called at every step; None: there is no refresh after them.
    """
    rounds = training.config.rounds
    first = round_ * rounds.classifier_steps
    training.views.begin_round(round_)
    if refresher and left:
        refresher.after(round_, left.start)
    for step, metrics in fit_classifier(
        training.learner,
        training.optimizers["classifier"],
        training.views_at,
        range(first + left.start, first + left.stop),
        training.config.classifier,
        num_steps=rounds.rounds * rounds.classifier_steps,
        world=training.world,
        loss_of=training.loss_of_views,
        average=training.follower,
    ):
        if refresher:
            refresher.after(round_, step + 1 - first)
        if selection is not None and step == first + left.stop - 1:
            with training.world.timer.time("selection"):
                found = assess(training, selection)
            yield metrics | {
                "selection_loss": found.loss,
                "selection_top1": found.accuracy,
            }
        else:
            yield metrics


def refresh(
    training: Training, round_: int, left: range, refresher: Refresher
) -> Iterator[Metrics]:
    """The one step of a refresh: S is adopted. Times are tallied, and no metrics."""
    for _ in left:
        new = refresher.finish(round_)
        training.s_val = new.solution.value.to(training.device)
        training.world.timer.count("staleness_steps", new.staleness)
        training.world.timer.count("solve_seconds", new.solve_seconds)
        training.world.timer.count("waited_seconds", new.waited_seconds)
        metrics: dict[str, float | int | str] = {
            "residual": new.solution.residual,
            "products": new.solution.num_products,
            "status": new.solution.status,
        }
        if new.solution.spread is not None:
            metrics["spread"] = new.solution.spread
        if new.staleness:
            metrics["staleness"] = new.staleness
        yield metrics | probe(training, round_, refresher.influence)


def probe(training: Training, round_: int, influence: ImageSet) -> dict[str, float]:
    """`pearson_full` of a sampled S, every `probe_every` refreshes from the first on.

    The full solution it is compared with forwards all training images once more; those
    that are streamed are too many for that.
    """
    config = training.config.influence
    if isinstance(training.train, OnDisk) or not is_sampled(training.train, config):
        return {}
    if not config.probe_every or round_ % config.probe_every:
        return {}
    was_training = training.classifier.training
    training.classifier.eval()
    pearson = correlation_with_full(
        training.s_val,
        training.classifier,
        training.train,
        influence,
        training.seen,
        config,
        training.seed,
        "probe",
        round_,
        world=training.world,
    )
    training.classifier.train(was_training)
    return {"pearson_full": pearson}


def estimate(training: Training, round_: int, left: range) -> Iterator[Metrics]:
    """Steps of E and G; F and S stand still."""
    rounds = training.config.rounds
    first = round_ * rounds.estimator_steps
    training.classifier.eval().requires_grad_(False)
    for _, metrics in fit_estimator(
        training.transform,
        training.optimizers["transform"],
        training.scores_of_views(),
        training.views.estimator_batch_at,
        range(first + left.start, first + left.stop),
        training.config.estimator,
        num_steps=estimator_steps(rounds),
        precision=training.config.classifier.precision,
        world=training.world,
    ):
        yield metrics
    training.classifier.requires_grad_(True)


def first_taught(config: RunConfig) -> int:
    """The round after whose refresh a policy is first updated; some always are."""
    return min(config.policy.warmup_rounds, max(0, config.rounds.rounds - 2))


def teach_policy(training: Training, round_: int, left: range) -> Iterator[Metrics]:
    """Updates of the policy over operations; F and S stand still."""
    first = round_ * training.config.rounds.estimator_steps
    training.classifier.eval()
    for _, metrics in fit_policy(
        training.policy,
        training.optimizers["policy"],
        training.scores_of_views(),
        training.views.estimator_batch_at,
        range(first + left.start, first + left.stop),
        world=training.world,
    ):
        training.count_policy()
        yield metrics


@torch.no_grad()
def predict(training: Training, split: Labelled) -> Float[Tensor, "N Y"]:
    """Log-probabilities of F in nats, float32 on the CPU; F is left as it was."""
    classifier = training.evaluated
    was_training = classifier.training
    classifier.eval()
    parts = [
        classifier(to_float(images.to(training.device)).to(training.dtype))
        .double()
        .log_softmax(dim=1)
        for images in split.images.split(500)
    ]
    classifier.train(was_training)
    return torch.cat(parts).float().cpu()


def assess(training: Training, split: ImageSet) -> Evaluation:
    """Loss and accuracy of F on a split; F is left in training mode as it was.

    All processes call this together; each assesses its part.
    """
    classifier = training.evaluated
    was_training = classifier.training
    classifier.eval()
    own = local_part(split, training.world, BATCH_SIZE)
    found = evaluate(
        classifier, own.images, own.labels,
        dtype=training.dtype, device=training.device, world=training.world,
    )  # fmt: skip
    classifier.train(was_training)
    return found
