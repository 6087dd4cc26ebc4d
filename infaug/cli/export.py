"""`infaug export` and `infaug preview`: what was learned, taken away and looked at."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from infaug.cli.output import Output, tell
from infaug.cli.places import look_for_images, look_for_run
from infaug.config import ExportConfig

if TYPE_CHECKING:
    from infaug.export.learned_augment import LearnedAugment


@dataclass(frozen=True, kw_only=True)
class Export(Output):
    """Write what a run learned into a folder that is used without the run.

    The augmentation and the classifier as safetensors, and a card in JSON; as programs
    for torch.export and ONNX if asked for, each checked against the original. Row and
    seed are chosen by selection loss, never on test images.
    """

    run: tyro.conf.Positional[str]
    """Run folder, or its URL, with a finished cell of a learned row."""
    out: Path
    """Folder to write: new, empty, or an earlier export."""
    config: Annotated[ExportConfig, tyro.conf.arg(name="")] = field(
        default_factory=ExportConfig
    )


@dataclass(frozen=True, kw_only=True)
class Preview(Output):
    """Draw images of your own as a learned augmentation shows them.

    A column for each image: the image, several views, and the flow of the first.
    """

    source: tyro.conf.Positional[str]
    """Folder that `infaug export` wrote, or a run, or its URL."""
    images: tyro.conf.Positional[tuple[Path, ...]]
    """Image files, or folders of them at any depth."""
    out: Path = Path("preview.png")
    """The picture."""
    num: int = 8
    """Images that are drawn, evenly over all that there are."""
    views: int = 4
    """Views of each."""
    strength: float = 1.0
    """Factor on what the augmentation does; 1 as trained, 0 nothing."""
    seed: int = 0
    """Of the draws."""


def export(asked: Export) -> int:
    """`infaug export`."""
    look_for_run(asked.run)
    from infaug.export.artefact import CARD
    from infaug.export.write import export_run
    from infaug.record.folder import at_hand

    replaced = (asked.out / CARD).exists()
    with at_hand(asked.run) as run:
        card = export_run(run, asked.out, asked.config)
    names = ["card.json", *card["files"]]
    found = {"out": str(asked.out), "cell": card["cell"], "files": names}
    lines = _told(card, asked.out, "replaced" if replaced else "wrote")
    tell(asked, lines, found | {"verdict": card["verdict"]})
    return 0


def preview(asked: Preview) -> int:
    """`infaug preview`."""
    look_for_run(asked.source)
    look_for_images(asked.images)
    from infaug.report.views import draw_preview, image_files, some_images

    for name in ("num", "views"):
        if getattr(asked, name) < 1:
            raise ValueError(f"--{name} must be >= 1, got {getattr(asked, name)}")
    augment, name = _augment(asked)
    files = image_files(asked.images)
    channels = augment.learned.generator.channels
    images = some_images(files, asked.num, channels)
    title = f"{name}, strength {asked.strength:g}: {len(images)} of {len(files)} images"
    try:
        draw_preview(
            augment, images, asked.out, num_views=asked.views, seed=asked.seed,
            title=title,
        )  # fmt: skip
    except OSError as error:
        raise ValueError(f"--out {asked.out} cannot be written ({error})") from error
    found = {"out": str(asked.out), "model": name, "images": len(images)}
    tell(asked, [f"wrote {asked.out}"], found)
    return 0


def _augment(asked: Preview) -> "tuple[LearnedAugment, str]":
    from infaug.export.artefact import CARD
    from infaug.export.learned_augment import LearnedAugment

    if (Path(asked.source) / CARD).exists():
        augment = LearnedAugment.load(asked.source, strength=asked.strength)
        cell = augment.card["cell"]
        return augment, f"{cell['row']}-seed{cell['seed']}"
    from infaug.export.write import augment_of
    from infaug.record.folder import at_hand

    with at_hand(asked.source) as run:
        if (run / "config.json").exists():
            return augment_of(run, ExportConfig(), strength=asked.strength)
    raise ValueError(
        f"{asked.source} is neither a folder that `infaug export` wrote nor a run"
    )


def _verdict(card: dict[str, Any]) -> str:
    from infaug.experiment.verdict import Verdict
    from infaug.report.verdict import describe

    if card["verdict"] is None:
        return "the run is not finished"
    return describe(Verdict.from_dict(card["verdict"]))


def _told(card: dict[str, Any], out: Path, did: str) -> list[str]:
    cell, image = card["cell"], card["image"]
    size = f"{image['channels']}x{image['height']}x{image['width']}"
    lines = [
        f"{cell['row']} seed {cell['seed']} ({cell['chosen_by']}), images of {size}",
        f"verdict: {_verdict(card)}",
    ]
    if (card["looks"] or {}).get("warning"):
        lines.append(f"warning: {card['looks']['warning']} `infaug preview` draws them")
    lines += [
        f"{name}: differs by {about['max_difference']:.1e} at most"
        for name, about in card["programs"].items()
    ]
    names = ", ".join(["card.json", *card["files"]])
    lines.append(f"{did} {out}: {names}")
    lines.append(f"use: infaug.export.LearnedAugment.load({str(out)!r})")
    return lines
