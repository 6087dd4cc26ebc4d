"""`infaug influence`: can the predictions of a run be trusted, and what do they say?"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import tyro

from infaug.cli.flags import look_for_run
from infaug.cli.terminal import Output, show
from infaug.words import plural


@dataclass(frozen=True, kw_only=True)
class Validate(Output):
    """Compare predicted changes of the validation loss with refitting the head.

    Replaces training images by their augmented views, one at a time, and refits the
    head on F's features to convergence. F's features stand still: what training the
    whole network on these views would do is not checked. Writes a JSON file and a
    picture into the run's folder.
    """

    run: tyro.conf.Positional[str]
    """Run folder, or its URL, with a finished training."""
    method: str | None = None
    """Method (also --method); none: the learned one the verdict is about."""
    seed: int = 0
    """Which repetition."""
    network: str | None = None
    """py:package.module:function, where F is a module of your own: it is imported only
    if it is named here."""
    samples: int = 50
    """Training images that are replaced."""
    max_train: int | None = None
    """Training images the head is refitted on, drawn at random; none: all."""
    pool: str | None = None
    """Number of Ray actors that refit side by side; none: this process alone."""


@dataclass(frozen=True, kw_only=True)
class Rank(Output):
    """Rank training images and augmentations by their influence, as Parquet.

    The columns are described in `infaug/trust/rank.py`; negative helps.
    """

    run: tyro.conf.Positional[str]
    """Run folder, or its URL, with a finished training."""
    method: str | None = None
    """Method (also --method); none: the learned one the verdict is about."""
    seed: int = 0
    """Which repetition."""
    network: str | None = None
    """py:package.module:function, where F is a module of your own: it is imported only
    if it is named here."""
    draws: int = 1
    """Augmented views of each image."""
    top: int = 5
    """Lines printed of each kind."""


IN_RUN = Validate(run=".", samples=20, max_train=500)
MAX_UNKNOWNS_IN_RUN = 30_000  # of the head; refitting larger ones takes minutes


def validate(args: Validate) -> int:
    """`infaug influence validate`."""
    look_for_run(args.run)
    from infaug.classify.backbone import name_network
    from infaug.record.folder import local_copy

    name_network(args.network)

    with local_copy(args.run) as run:
        show(args, *_checked(replace(args, run=str(run))))
    return 0


def check(args: Validate) -> list[str]:
    """Check the predictions of a finished training; lines for the user."""
    return _checked(args)[0]


def _checked(args: Validate) -> tuple[list[str], dict[str, Any]]:
    from infaug.record.atomic import write_json
    from infaug.report.pictures import draw_scatter, measures
    from infaug.trust.reload import reload

    finished = reload(Path(args.run), args.method, args.seed)
    trust = _check_on(finished, args)
    stem = Path(args.run) / f"influence-{finished.name}"
    draw_scatter(trust, f"{finished.name}: {args.samples} images replaced", _png(stem))
    found: dict[str, Any] = {
        "row": finished.training.method.name,
        "seed": args.seed,
        "samples": args.samples,
        "num_train": trust.num_train,
        "live_gradient": trust.live_gradient,
    }
    for name, part in (("refitted", trust.refitted), ("live", trust.live)):
        keys = ("pearson", "spearman", "slope", "sign_agreement")
        found[name] = {key: getattr(part, key) for key in keys}
        found[name]["predicted"] = part.predicted.tolist()
    found["actual"] = trust.refitted.actual.tolist()
    write_json(_json(stem), found)  # whole: its being there says it was checked
    lines = [
        f"{finished.name}: {args.samples} of {trust.num_train} images replaced by "
        "their views, the head refitted",
        f"  predicted at the refitted head: {measures(trust.refitted)}",
        f"  predicted as the run does:      {measures(trust.live)}",
        f"  gradient norm at the live head: {trust.live_gradient:.1e} (0 in theory)",
        f"  wrote {_json(stem)} and {_png(stem)}",
    ]
    return lines, found


def check_in_run(run: Path) -> list[str]:
    """The small check at the end of a run; lines for the user.

    What keeps it from being done is a line and does not fail the run.
    """
    from infaug.trust.reload import reload

    try:
        head = reload(run).training.classifier.head
        if head.weight.numel() > MAX_UNKNOWNS_IN_RUN:
            why = f"the head is large; infaug influence validate {run}"
            return [f"influence not checked: {why}"]
        return check(replace(IN_RUN, run=str(run)))
    except (ValueError, OSError) as error:
        return [f"influence not checked: {error}"]


def rank(args: Rank) -> int:
    """`infaug influence rank`."""
    look_for_run(args.run)
    from infaug.classify.backbone import name_network
    from infaug.record.folder import local_copy

    name_network(args.network)

    with local_copy(args.run) as run:
        return _rank_in(run, args)


def _rank_in(run: Path, args: Rank) -> int:
    from infaug.trust import rank as ranking
    from infaug.trust.reload import reload

    if args.draws < 1 or args.top < 1:
        raise ValueError(
            f"--draws and --top must be >= 1, got {args.draws} and {args.top}"
        )
    finished = reload(run, args.method, args.seed)
    table = ranking.rank(finished, num_draws=args.draws)
    path = run / f"influence-{finished.name}.parquet"
    ranking.write_ranking(table, path)
    lines: list[str] = []
    found: dict[str, Any] = {"out": str(path), "lines": len(table)}
    for kind in ("image", "augmentation"):
        helpful, harmful = ranking.extremes(table, kind, args.top)
        for word, rows in (("helpful", helpful), ("harmful", harmful)):
            lines.append(
                f"most {word} {kind}s (predicted change of validation loss, nats)"
            )
            found[f"{word}_{kind}s"] = rows.to_pylist()
            for line in rows.to_pylist():
                where = f"image {line['image']} (source {line['source_index']})"
                draw = "" if line["draw"] is None else f", view {line['draw']}"
                lines.append(
                    f"  {line['predicted_change']:+.2e}  {where}, class "
                    f"{line['class_name']}{draw}"
                )
    show(args, [*lines, f"wrote {path}: {plural(len(table), 'line')}"], found)
    return 0


def _check_on(finished: Any, args: Validate) -> Any:
    from infaug.trust.predictions import check_predictions

    size: dict[str, Any] = {"num_samples": args.samples, "max_train": args.max_train}
    if args.pool is None:
        return check_predictions(finished, **size)
    from infaug.distributed.pool_group import PoolShape
    from infaug.distributed.train import pool_alone

    shape = PoolShape.parse(args.pool)
    with pool_alone(shape) as solver:
        return check_predictions(
            finished, **size, num_jobs=shape.min, apply=solver.apply
        )


def _png(stem: Path) -> Path:
    return stem.with_name(stem.name + ".png")


def _json(stem: Path) -> Path:
    return stem.with_name(stem.name + ".json")
