"""`infaug export`: what a training learned, written as a folder of its own."""

import json
import shutil
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from infaug.config import ExportConfig
from infaug.estimate.learned_transform import LearnedTransform
from infaug.experiment.finished import FinishedTraining, choose_learned
from infaug.export.artefact import AUGMENT, CARD, CLASSIFIER, FORMAT
from infaug.export.card import write_card
from infaug.export.learned_augment import LearnedAugment
from infaug.export.program import ONNX, PROGRAM, check_onnx, write_onnx, write_program
from infaug.export.view import GeneratorViews, PolicyViews
from infaug.record.atomic import write_json, write_tensors, writing
from infaug.record.folder import RunFolder

FILES = (AUGMENT, CLASSIFIER, PROGRAM, ONNX)
SCRATCH = ".partial-"


def augment_of(
    run: Path, config: ExportConfig, *, strength: float = 1.0
) -> tuple[LearnedAugment, str]:
    """The transform of a training without writing anything, and its name."""
    chosen = choose_learned(RunFolder(run), config.method, config.seed)
    return LearnedAugment(_views_of(chosen), strength=strength), chosen.name


def export_run(run: Path, out: Path, config: ExportConfig) -> dict[str, Any]:
    """Write a training's augmentation and classifier into `out`; returns the card.

    Weights and the card are written in any case; the card is written last.

    Raises:
        ValueError: if there is no such training, `out` holds something else or cannot
            be written, a format needs a package that is missing, or a program differs
            from the transform.
    """
    if "onnx" in config.formats:
        check_onnx()
    chosen = choose_learned(RunFolder(run), config.method, config.seed)
    views = _views_of(chosen)
    _enter(out)
    with (
        writing(f"--out {out}", "make room there, or choose another folder"),
        TemporaryDirectory(prefix=SCRATCH, dir=out) as scratch,
    ):
        # An earlier export stays whole until this one is.
        card = _write(Path(scratch), chosen, views, config)
        # The card says what is there: it goes first and comes last.
        for name in (CARD, *FILES):
            (out / name).unlink(missing_ok=True)
        for name in (*card["files"], CARD):
            (Path(scratch) / name).replace(out / name)
    return card


def _write(
    into: Path,
    chosen: FinishedTraining,
    views: GeneratorViews | PolicyViews,
    config: ExportConfig,
) -> dict[str, Any]:
    """Write all files; the card."""
    learned = views.policy if isinstance(views, PolicyViews) else views.transform
    programs = {}
    # A policy picks operations image by image: that is no program of tensors alone.
    if isinstance(learned, LearnedTransform):
        settings = chosen.config.estimator
        if "torch_export" in config.formats:
            programs[PROGRAM] = write_program(learned, settings, into / PROGRAM)
        if "onnx" in config.formats:
            programs[ONNX] = write_onnx(learned, settings, into / ONNX)
    write_tensors(into / AUGMENT, learned.state_dict())
    write_tensors(into / CLASSIFIER, chosen.weights("classifier"))
    card = write_card(
        chosen,
        licence=config.licence,
        files={name: _file(into / name) for name in (AUGMENT, CLASSIFIER, *programs)},
        programs=programs,
    )
    write_json(into / CARD, card)
    return card


def _views_of(chosen: FinishedTraining) -> GeneratorViews | PolicyViews:
    if chosen.method.policy is not None:
        return PolicyViews(chosen.policy())
    return GeneratorViews(chosen.transform(), chosen.config.estimator)


def _enter(out: Path) -> None:
    """Make the folder; it may hold an earlier export, finished or not."""
    with writing(f"--out {out}", "choose another folder"):
        out.mkdir(parents=True, exist_ok=True)
        held = {path.name for path in out.iterdir()}
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


def _file(path: Path) -> dict[str, Any]:
    content = path.read_bytes()
    return {"bytes": len(content), "sha256": sha256(content).hexdigest()}
