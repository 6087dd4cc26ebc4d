"""`infaug export`: a finished cell of a run, written as a folder of its own."""

import json
import shutil
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from torch import Tensor

from infaug.config import ExportConfig, RunConfig
from infaug.estimate.learned_transform import LearnedTransform
from infaug.export.artefact import AUGMENT, CARD, CLASSIFIER, FORMAT, transform_of
from infaug.export.card import data_of, write_card
from infaug.export.choose import Chosen, choose
from infaug.export.learned_augment import LearnedAugment
from infaug.export.program import (
    ONNX,
    PROGRAM,
    check_onnx,
    write_onnx,
    write_program,
)
from infaug.record.atomic import write_json, write_tensors
from infaug.record.folder import RunFolder

FILES = (AUGMENT, CLASSIFIER, PROGRAM, ONNX)
SCRATCH = ".partial-"


@dataclass(frozen=True, eq=False)
class Taken:
    """A cell that is taken away."""

    chosen: Chosen
    config: RunConfig
    transform: LearnedTransform


def take(run: Path, config: ExportConfig) -> Taken:
    """The chosen cell of a run, with its E and G.

    Raises:
        ValueError: if `run` is no run, or has no such cell.
    """
    folder = RunFolder(run)
    chosen = choose(folder, config.row, config.seed)
    settings = folder.config()
    weights = _single(folder.weights(chosen.row.name, chosen.seed, "transform"))
    shape = data_of(folder)["image shape"]
    path = folder.training(chosen.row.name, chosen.seed).path / "transform.safetensors"
    transform = transform_of(settings.transform, shape, weights, path)
    return Taken(chosen, settings, transform)


def augment_of(
    run: Path, config: ExportConfig, *, strength: float = 1.0
) -> tuple[LearnedAugment, str]:
    """The transform of a run's cell without writing anything, and the cell's name."""
    taken = take(run, config)
    augment = LearnedAugment(taken.transform, taken.config.estimator, strength=strength)
    return augment, taken.chosen.name


def export_run(run: Path, out: Path, config: ExportConfig) -> dict[str, Any]:
    """Write a cell's augmentation and classifier into `out`; returns the card.

    Weights and the card are written in any case; the card is written last.

    Raises:
        ValueError: if there is no such cell, `out` holds something else or cannot be
            written, a format needs a package that is missing, or a program differs from
            the transform.
    """
    if "onnx" in config.formats:
        check_onnx()
    taken = take(run, config)
    _enter(out)
    try:
        return _replace(out, RunFolder(run), taken, config)
    except OSError as error:
        raise ValueError(
            f"--out {out} cannot be written ({error}): make room there, or choose "
            "another folder"
        ) from error


def _replace(
    out: Path, folder: RunFolder, taken: Taken, config: ExportConfig
) -> dict[str, Any]:
    """Put all files where an earlier export may be; the card."""
    # That one stays whole until this one is.
    with TemporaryDirectory(prefix=SCRATCH, dir=out) as scratch:
        card = _write(Path(scratch), folder, taken, config)
        # The card says what is there: it goes first and comes last.
        for name in (CARD, *FILES):
            (out / name).unlink(missing_ok=True)
        for name in (*card["files"], CARD):
            (Path(scratch) / name).replace(out / name)
    return card


def _write(
    into: Path, folder: RunFolder, taken: Taken, config: ExportConfig
) -> dict[str, Any]:
    """Write all files; the card."""
    settings, chosen, programs = taken.config.estimator, taken.chosen, {}
    if "torch_export" in config.formats:
        programs[PROGRAM] = write_program(taken.transform, settings, into / PROGRAM)
    if "onnx" in config.formats:
        programs[ONNX] = write_onnx(taken.transform, settings, into / ONNX)
    write_tensors(into / AUGMENT, taken.transform.state_dict())
    classifier = folder.weights(chosen.row.name, chosen.seed, "classifier")
    write_tensors(into / CLASSIFIER, _single(classifier))
    card = write_card(
        folder,
        taken.config,
        chosen,
        licence=config.licence,
        files={name: _file(into / name) for name in (AUGMENT, CLASSIFIER, *programs)},
        programs=programs,
    )
    write_json(into / CARD, card)
    return card


def _enter(out: Path) -> None:
    """Make the folder; it may hold an earlier export, finished or not.

    Raises:
        ValueError: if it cannot be made, or holds something else.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        held = {path.name for path in out.iterdir()}
    except OSError as error:
        raise ValueError(f"--out {out} is no folder that can be made") from error
    left = {name for name in held if name.startswith(SCRATCH)}
    other = held - left - {CARD, *FILES}
    if other or (CARD in held and not _is_ours(out / CARD)):
        raise ValueError(
            f"--out {out} holds {min(other or {CARD})!r} and no export of infaug: "
            "nothing was touched, choose a new or empty folder"
        )
    for name in left:
        shutil.rmtree(out / name)


def _is_ours(card: Path) -> bool:
    try:
        return json.loads(card.read_text()).get("format") == FORMAT
    except (OSError, ValueError, AttributeError):
        return False


def _single(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights in float32, whatever the run kept them in."""
    return {
        name: tensor.float() if tensor.is_floating_point() else tensor
        for name, tensor in weights.items()
    }


def _file(path: Path) -> dict[str, Any]:
    content = path.read_bytes()
    return {"bytes": len(content), "sha256": sha256(content).hexdigest()}
