"""`infaug predict`: what a run's classifier says of images."""

import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from infaug.cli.flags import BUNDLED, look_for_images, look_for_run
from infaug.cli.terminal import SOME_FAILED, Output, show
from infaug.words import are, plural

if TYPE_CHECKING:
    from infaug.config import DataConfig
    from infaug.predict.model import Predictions

PRINTED = "-"
OWN = "the run was given these images; the accuracy of what was trained on is no test"


@dataclass(frozen=True, kw_only=True)
class Predict(Output):
    """Say which class each image is of, by the classifier of a run.

    Images are converted and scaled as the run's own were. Where their classes are
    known, from folders named like the classes or from the run's label column, the
    accuracy is printed, too, with a warning where the run itself was given the images.
    Unreadable images are listed, and the exit code is then 3.
    """

    run: tyro.conf.Positional[str]
    """Run folder, or its URL, or a folder that `infaug export` wrote."""
    images: tyro.conf.Positional[tuple[Path, ...]]
    """Image files, folders of them at any depth, Parquet files, or a CSV of paths."""
    out: str = "predictions.csv"
    """A file that ends in .csv, .jsonl or .parquet; - prints CSV. A line for each
    image: path, label if known, class, probability, then the next four."""
    method: str | None = None
    """Method; none: the answer, trained on all labelled images; without folds that of
    lowest selection loss."""
    seed: int | None = None
    """Which repetition, or fold; none: that with the lowest selection loss."""
    with_folds: bool = False
    """Average the answer's classifier with those that were trained for each fold: often
    a little better, at several times the work for each image."""
    network: str | None = None
    """py:package.module:function, where F is a module of your own: it is imported only
    if it is named here."""


def predict(args: Predict) -> int:
    """`infaug predict`."""
    look_for_run(args.run)
    look_for_images(args.images)
    from infaug.classify.named import name_network
    from infaug.precision import pick_device
    from infaug.predict.inputs import find_inputs
    from infaug.predict.model import check_name, open_model, write_predictions
    from infaug.predict.model import predict as run_over
    from infaug.record.display import ImageCount
    from infaug.record.folder import local_copy
    from infaug.record.table_file import as_csv

    name_network(args.network)
    is_printed = args.out == PRINTED
    if is_printed and args.json:
        raise ValueError("--json prints its own: give --out FILE beside it, not -")
    if not is_printed:
        check_name(Path(args.out))
    inputs = find_inputs(args.images)
    device = pick_device()
    with local_copy(args.run) as run:
        model = open_model(
            run, args.method, args.seed, device, folds_too=args.with_folds
        )
    with closing(ImageCount(shown=args.is_for_people)) as progress:
        progress.begin(inputs.count(model.data), 0)
        items = inputs.items(model.data, model.class_names)
        found = run_over(model, items, device, progress.step)
    if num := inputs.num_skipped:
        print(f"infaug: skipped: {plural(num, 'file')}, no images", file=sys.stderr)
    for name in found.unreadable:
        print(f"infaug: unreadable: {name}", file=sys.stderr)
    if not found.lines:
        num = plural(len(found.unreadable), "image")
        raise ValueError(f"none of {num} could be read")
    if is_printed:
        print(as_csv(found.lines).decode(), end="")
    else:
        write_predictions(found.lines, Path(args.out))
        about = {
            "model": model.name,
            "images": len(found.lines),
            "labelled": found.num_labelled,
            "top1": found.accuracy,
            "unreadable": found.unreadable,
            "out": args.out,
        }
        if found.accuracy is not None:
            for path in _own(args.images, model.data):
                print(f"infaug: {path}: {OWN}", file=sys.stderr)
        show(args, _lines_of(found, model.name, args.out), about)
    return SOME_FAILED if found.unreadable else 0


def _own(images: Sequence[Path], data: "DataConfig") -> list[Path]:
    """Those that lie in what the run was given."""
    given = {data.source, data.target_source} - {BUNDLED, None}
    own = {Path(str(place)).resolve() for place in given}
    return [path for path in images if own & {path.resolve(), *path.resolve().parents}]


def _described(name: str) -> str:
    """The classifier of a training, or of the average of several.

    >>> _described("pooled-final + late-final")
    'the average of pooled + late, trained on all labelled images'
    >>> _described("pooled-final, with folds")
    'the average of pooled, trained on all labelled images and for each fold'
    >>> _described("base-seed1")
    'base-seed1'
    """
    if "-final" not in name:
        return name
    methods, comma, _ = name.replace("-final", "").partition(",")
    of = "the average of " if comma or " + " in name else ""
    folds = " and for each fold" if comma else ""
    return f"{of}{methods}, trained on all labelled images{folds}"


def _lines_of(found: "Predictions", name: str, out: str) -> list[str]:
    lines = [f"{plural(len(found.lines), 'image')}, classified by {_described(name)}"]
    if found.accuracy is not None:
        known = f"{plural(found.num_labelled, 'image')} whose class is known"
        lines.append(f"{found.accuracy:.2f} % top-1 on {known}")
    if num := len(found.unreadable):
        lines.append(f"{plural(num, 'unreadable image')} {are(num)} not in it")
    return [*lines, f"wrote {out}"]
