"""`infaug export` and `infaug preview`: what was learned, taken away and looked at."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from infaug.cli.flags import look_for_images, look_for_run
from infaug.cli.terminal import Output, show
from infaug.config import ExportConfig

if TYPE_CHECKING:
    from infaug.export.learned_augment import LearnedAugment


@dataclass(frozen=True, kw_only=True)
class Export(Output):
    """Write what a run learned into a folder that is used without the run.

    The augmentation and the classifier as safetensors, and a card in JSON; as programs
    for torch.export and ONNX if requested, each checked against the original. Method
    (--method) and seed are chosen by selection loss, never on test images.
    """

    run: tyro.conf.Positional[str]
    """Run folder, or its URL, with a finished training of a learned method."""
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


def export(args: Export) -> int:
    """`infaug export`."""
    look_for_run(args.run)
    from infaug.export.artefact import CARD
    from infaug.export.write import export_run
    from infaug.record.folder import local_copy

    replaced = (args.out / CARD).exists()
    with local_copy(args.run) as run:
        card = export_run(run, args.out, args.config)
    names = ["card.json", *card["files"]]
    found = {"out": str(args.out), "training": card["training"], "files": names}
    lines = _lines_of(card, args.out, "replaced" if replaced else "wrote")
    show(args, lines, found | {"verdict": card["verdict"]})
    return 0


def preview(args: Preview) -> int:
    """`infaug preview`."""
    look_for_run(args.source)
    look_for_images(args.images)
    from infaug.data.names import is_image
    from infaug.predict.inputs import find_inputs
    from infaug.record.atomic import writing
    from infaug.report.views import draw_preview, some_images

    for name in ("num", "views"):
        if getattr(args, name) < 1:
            raise ValueError(f"--{name} must be >= 1, got {getattr(args, name)}")
    augment, name = _augment(args)
    files = [file for file in find_inputs(args.images).files if is_image(file.name)]
    images = some_images(files, args.num, augment.views.channels)
    title = f"{name}, strength {args.strength:g}: {len(images)} of {len(files)} images"
    with writing(f"--out {args.out}", "choose another place"):
        draw_preview(
            augment, images, args.out, num_views=args.views, seed=args.seed,
            title=title,
        )  # fmt: skip
    found = {"out": str(args.out), "model": name, "images": len(images)}
    show(args, [f"wrote {args.out}"], found)
    return 0


def _augment(args: Preview) -> "tuple[LearnedAugment, str]":
    from infaug.export.artefact import CARD
    from infaug.export.learned_augment import LearnedAugment

    if (Path(args.source) / CARD).exists():
        augment = LearnedAugment.load(args.source, strength=args.strength)
        return augment, augment.card["training"]["name"]
    from infaug.export.write import augment_of
    from infaug.record.folder import local_copy

    with local_copy(args.source) as run:
        if (run / "config.json").exists():
            return augment_of(run, ExportConfig(), strength=args.strength)
    raise ValueError(
        f"{args.source} is neither a folder that `infaug export` wrote nor a run"
    )


def _verdict(card: dict[str, Any]) -> str:
    from infaug.experiment.verdict import Verdict
    from infaug.report.verdict import describe

    if card["verdict"] is None:
        return "the experiment is not finished"
    found = Verdict.from_dict(card["verdict"])
    return describe(found, is_folded=card["answer"] is not None)


def _lines_of(card: dict[str, Any], out: Path, did: str) -> list[str]:
    from infaug.report.verdict import describe_answer

    training, image = card["training"], card["image"]
    size = f"{image['channels']}x{image['height']}x{image['width']}"
    lines = [
        f"{training['name']} ({training['chosen_by']}), images of {size}",
        f"verdict: {_verdict(card)}",
    ]
    if card["answer"]:
        lines.append(f"answer of the experiment: {describe_answer(card['answer'])}")
    if (card["looks"] or {}).get("warning"):
        lines.append(f"warning: {card['looks']['warning']} `infaug preview` draws them")
    if "shares" in card:
        shares = sorted(card["shares"].items(), key=lambda item: -item[1])
        drawn = ", ".join(f"{name} {share:.0%}" for name, share in shares[:5])
        lines.append(f"operations drawn most often: {drawn}")
    lines += [
        f"{name}: differs by {about['max_difference']:.1e} at most"
        for name, about in card["programs"].items()
    ]
    names = ", ".join(["card.json", *card["files"]])
    lines.append(f"{did} {out}: {names}")
    lines.append(f"use: infaug.export.LearnedAugment.load({str(out)!r})")
    return lines
