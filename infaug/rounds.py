"""The alternation: train F, refresh s_val, train E, go round again.

Every process of a run executes this page, whether there is one or many.
"""

from collections.abc import Iterator

from infaug.cell import Cell
from infaug.classify.evaluate import Evaluation, evaluate
from infaug.classify.fit import fit_classifier
from infaug.data.dataset import Labelled
from infaug.data.problem import Splits
from infaug.estimate.fit import fit_estimator
from infaug.record.recorder import Metrics, Recorder
from infaug.refresh import correlation_with_full, is_sampled, solve_s_val


def run_cell(cell: Cell, splits: Splits, recorder: Recorder) -> None:
    """Train a cell to its end, from wherever the recorder says it stands.

    Raises:
        ValueError: if a loss, a gradient or S is not finite.
    """
    rounds = cell.config.rounds
    influence = splits.influence.to(cell.device)
    selection = splits.selection.to(cell.device)
    for round_ in range(rounds.rounds):
        # Train F on the views of this round.
        left = recorder.left(round_, "classify", rounds.classifier_steps)
        steps = classify(cell, round_, left, selection)
        recorder.follow(round_, "classify", left, steps, cell)
        if not cell.row.is_learned or round_ == rounds.rounds - 1:
            continue  # Nothing would train on what E learned in the last round.

        # Refresh s_val for the F of this round.
        left = recorder.left(round_, "refresh", 1)
        steps = refresh(cell, round_, left, influence)
        recorder.follow(round_, "refresh", left, steps, cell)

        # Train E against that F and that s_val.
        left = recorder.left(round_, "estimate", rounds.estimator_steps)
        steps = estimate(cell, round_, left)
        recorder.follow(round_, "estimate", left, steps, cell)


def classify(
    cell: Cell, round_: int, left: range, selection: Labelled
) -> Iterator[Metrics]:
    """Steps of F; the last one of a round also reports the selection split."""
    rounds = cell.config.rounds
    first = round_ * rounds.classifier_steps
    for step, metrics in fit_classifier(
        cell.classifier,
        cell.optimizers["classifier"],
        cell.views_at,
        range(first + left.start, first + left.stop),
        cell.config.classifier,
        num_steps=rounds.rounds * rounds.classifier_steps,
        world=cell.world,
    ):
        if step == first + left.stop - 1:
            found = assess(cell, selection)
            yield metrics | {
                "selection_loss": found.loss,
                "selection_top1": found.accuracy,
            }
        else:
            yield metrics


def refresh(
    cell: Cell, round_: int, left: range, influence: Labelled
) -> Iterator[Metrics]:
    """The one step of a refresh: S of F as it stands, from the last S."""
    cell.classifier.eval()
    for _ in left:
        solution = solve_s_val(
            cell.classifier,
            cell.train,
            influence,
            cell.augments,
            cell.config.influence,
            cell.seed,
            "refresh",
            round_,
            world=cell.world,
            start=cell.s_val,
        )
        cell.s_val = solution.value
        found = {} if solution.spread is None else {"spread": solution.spread}
        yield {
            "residual": solution.residual,
            "products": solution.num_products,
            "status": solution.status,
            **found,
            **probe(cell, round_, influence),
        }


def probe(cell: Cell, round_: int, influence: Labelled) -> Metrics:
    """`pearson_full` of a sampled S, every `probe_every` refreshes from the first on.

    The full solution it is compared with forwards all training images once more.
    """
    config = cell.config.influence
    if not is_sampled(cell.train, config):
        return {}
    if not config.probe_every or round_ % config.probe_every:
        return {}
    pearson = correlation_with_full(
        cell.s_val,
        cell.classifier,
        cell.train,
        influence,
        cell.augments,
        config,
        cell.seed,
        "probe",
        round_,
        world=cell.world,
    )
    return {"pearson_full": pearson}


def estimate(cell: Cell, round_: int, left: range) -> Iterator[Metrics]:
    """Steps of E and G; F and S stand still."""
    rounds = cell.config.rounds
    first = round_ * rounds.estimator_steps
    cell.classifier.eval().requires_grad_(False)
    for _, metrics in fit_estimator(
        cell.transform,
        cell.optimizers["transform"],
        cell.classifier,
        cell.s_val,
        cell.estimator_batch_at,
        range(first + left.start, first + left.stop),
        cell.config.estimator,
        cell.config.influence,
        num_steps=(rounds.rounds - 1) * rounds.estimator_steps,
        precision=cell.config.classifier.precision,
        world=cell.world,
    ):
        yield metrics
    cell.classifier.requires_grad_(True)


def assess(cell: Cell, split: Labelled) -> Evaluation:
    """Loss and accuracy of F on a split; F is left in training mode as it was."""
    was_training = cell.classifier.training
    cell.classifier.eval()
    found = evaluate(cell.classifier, split.images, split.labels, dtype=cell.dtype)
    cell.classifier.train(was_training)
    return found
