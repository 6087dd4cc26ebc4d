"""`infaug influence`: can the predictions of a run be trusted, and what do they say?"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from infaug.cli.flags import look_for_run
from infaug.cli.terminal import Output, show
from infaug.words import plural


@dataclass(frozen=True, kw_only=True)
class OfTraining(Output):
    """Which training is looked at."""

    run: tyro.conf.Positional[str]
    """Run folder, or its URL, with a finished training."""
    method: str | None = None
    """Method; none: the learned one the verdict is about."""
    seed: int = 0
    """Which repetition."""
    network: str | None = None
    """py:package.module:function, where F is a module of your own: it is imported only
    if it is named here."""


@dataclass(frozen=True, kw_only=True)
class Validate(OfTraining):
    """Compare predicted changes of the validation loss with refitting the head.

    Replaces training images by their augmented views, one at a time, and refits the
    head on F's features to convergence. F's features stand still: what training the
    whole network on these views would do is not checked. Writes a JSON file and a
    picture into the run's folder.
    """

    samples: int = 50
    """Training images that are replaced."""
    max_train: int | None = None
    """Training images the head is refitted on, drawn at random; none: all."""


@dataclass(frozen=True, kw_only=True)
class Rank(OfTraining):
    """Rank training images and augmentations by their influence, as Parquet.

    The columns are described in `infaug/trust/rank.py`; negative helps.
    """

    draws: int = 1
    """Augmented views of each image."""
    top: int = 5
    """Lines printed of each kind."""


SAMPLES_IN_RUN, MAX_TRAIN_IN_RUN = 20, 500
MAX_UNKNOWNS_IN_RUN = 30_000  # of the head; refitting larger ones takes minutes


def validate(args: Validate) -> int:
    """`infaug influence validate`."""
    look_for_run(args.run)
    from infaug.classify.named import name_network
    from infaug.record.folder import local_copy
    from infaug.trust.reload import reload

    name_network(args.network)
    with local_copy(args.run) as run:
        finished = reload(run, args.method, args.seed)
        show(args, *_checked(run, finished, args.samples, args.max_train))
    return 0


def check_in_run(run: Path) -> list[str]:
    """The small check at the end of a run; lines for the user.

    What keeps it from being done is a line and does not fail the run.
    """
    from infaug.record.folder import RunFolder
    from infaug.trust.reload import reload

    result = RunFolder(run).result()
    if result and result["verdict"]["method"] is None:
        return []  # No learned method was run, as the verdict says.
    try:
        finished = reload(run)
        if finished.training.classifier.head.weight.numel() > MAX_UNKNOWNS_IN_RUN:
            why = f"the head is large; infaug influence validate {run}"
            return [f"influence not checked: {why}"]
        return _checked(run, finished, SAMPLES_IN_RUN, MAX_TRAIN_IN_RUN)[0]
    except (ValueError, OSError) as error:
        return [f"influence not checked: {error}"]


def _checked(
    run: Path, finished: Any, samples: int, max_train: int | None
) -> tuple[list[str], dict[str, Any]]:
    """Lines for people, and what a file and machines get."""
    from infaug.record.atomic import write_json
    from infaug.report.pictures import draw_scatter, measures
    from infaug.trust.predictions import check_predictions

    trust = check_predictions(finished, num_samples=samples, max_train=max_train)
    name, file = finished.name, run / f"influence-{finished.name}.json"
    draw_scatter(trust, f"{name}: {samples} images replaced", file.with_suffix(".png"))
    found: dict[str, Any] = {
        "method": finished.training.method.name,
        "seed": finished.training.seed,
        "samples": samples,
        "num_train": trust.num_train,
        "live_gradient": trust.live_gradient,
    }
    for key, part in (("refitted", trust.refitted), ("live", trust.live)):
        keys = ("pearson", "spearman", "slope", "sign_agreement")
        found[key] = {each: getattr(part, each) for each in keys}
        found[key]["predicted"] = part.predicted.tolist()
    found["actual"] = trust.refitted.actual.tolist()
    write_json(file, found)  # whole: its being there says it was checked
    lines = [
        f"{name}: {samples} of {trust.num_train} images replaced by their views, the "
        "head refitted",
        f"  predicted at the refitted head: {measures(trust.refitted)}",
        f"  predicted as the run does:      {measures(trust.live)}",
        f"  gradient norm at the live head: {trust.live_gradient:.1e} (0 in theory)",
        f"  wrote {file} and {file.with_suffix('.png')}",
    ]
    return lines, found


def rank(args: Rank) -> int:
    """`infaug influence rank`."""
    look_for_run(args.run)
    from infaug.classify.named import name_network
    from infaug.record.folder import local_copy
    from infaug.trust import rank as ranking
    from infaug.trust.reload import reload

    name_network(args.network)
    if args.draws < 1 or args.top < 1:
        raise ValueError(
            f"--draws and --top must be >= 1, got {args.draws} and {args.top}"
        )
    with local_copy(args.run) as run:
        finished = reload(run, args.method, args.seed)
        table = ranking.rank(finished, num_draws=args.draws)
        path = run / f"influence-{finished.name}.parquet"
        ranking.write_ranking(table, path)
    lines: list[str] = []
    found: dict[str, Any] = {"out": str(path), "lines": len(table)}
    for kind in ("image", "augmentation"):
        both = ranking.extremes(table, kind, args.top)
        for word, end in zip(("helpful", "harmful"), both, strict=True):
            found[f"{word}_{kind}s"] = end.to_pylist()
            lines += [
                f"most {word} {kind}s (predicted change of validation loss, nats)",
                *map(_line, end.to_pylist()),
            ]
    show(args, [*lines, f"wrote {path}: {plural(len(table), 'line')}"], found)
    return 0


def _line(each: dict[str, Any]) -> str:
    draw = "" if each["draw"] is None else f", view {each['draw']}"
    return (
        f"  {each['predicted_change']:+.2e}  image {each['image']} (source "
        f"{each['source_index']}), class {each['class_name']}{draw}"
    )
