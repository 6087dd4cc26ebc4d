"""A trained F, with all that images must go through before it sees them."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch
from jaxtyping import Float
from torch import Tensor, nn

from infaug.config import DataConfig
from infaug.data.dataset import to_float
from infaug.data.decode import (
    Encoded,
    UnreadableError,
    centre,
    channels_first,
    open_image,
)
from infaug.experiment.finished import choose_classifier
from infaug.export.artefact import CARD, load_classifier, read_card
from infaug.predict.inputs import UNKNOWN
from infaug.record.atomic import write_bytes, writing
from infaug.record.folder import RunFolder
from infaug.record.table_file import Lines, as_csv, as_json_lines, as_parquet

WITH_FOLDS = ", with folds"
READING = ("image_column", "label_column", "path_column", "pixel_bits")


@dataclass(frozen=True, eq=False, kw_only=True)
class Model:
    """F in evaluation mode, in float32."""

    classifier: nn.Module
    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int]
    """(C, H, W)."""
    name: str
    """METHOD-seedK, or several, `WITH_FOLDS` or without."""
    data: DataConfig
    """How the run's own images were read: columns, and bits of deep grey."""

    def prepared(self, item: Encoded) -> Tensor:
        """The image as the run's own were: uint8 [C, H, W].

        Converted to the run's mode; of another size, its middle is cut out in the run's
        proportions and scaled, as --data.image-size does.

        Raises:
            UnreadableError: if there is no image, or none that can be decoded.
        """
        channels, height, width = self.image_shape
        image = open_image(item, "L" if channels == 1 else "RGB", self.data.pixel_bits)
        share = self.data.centre_crop
        if image.size != (width, height) or share < 1:
            image = centre(image, (width, height), share)
        return torch.tensor(channels_first(image))

    @torch.inference_mode()
    def probabilities(
        self, images: Sequence[Tensor], device: torch.device
    ) -> Float[Tensor, "B Y"]:
        """Of every class for each prepared image."""
        x = to_float(torch.stack(list(images)).to(device))
        return self.classifier(x).double().softmax(dim=1).cpu()


def open_model(
    place: Path,
    method: str | None,
    seed: int | None,
    device: torch.device,
    *,
    folds_too: bool = False,
) -> Model:
    """F of an exported folder, or of a finished training.

    `folds_too`: the answer's F averaged with those of its folds; see
    `infaug.experiment.finished.HandedOver.with_folds`.

    Raises:
        ValueError: if `place` is neither, or has no such training.
    """
    if (place / CARD).exists():
        if method is not None or seed is not None or folds_too:
            raise ValueError(
                f"{place} is an export, which holds one classifier: leave out "
                "--method, --seed and --with-folds, or give the run it came from"
            )
        return _of_export(place, device)
    if not (place / "config.json").exists():
        raise ValueError(
            f"{place} is neither a run nor a folder that `infaug export` wrote: give "
            "the --out of an `infaug fit`"
        )
    return _of_run(place, method, seed, device, folds_too)


def _of_export(place: Path, device: torch.device) -> Model:
    classifier = load_classifier(place)
    card = read_card(place)
    image, training, data = card["image"], card["training"], card["run"]["data"]
    return Model(
        classifier=classifier.to(device),
        class_names=tuple(card["classifier"]["class_names"]),
        image_shape=(image["channels"], image["height"], image["width"]),
        name=training["name"],
        data=DataConfig(**{name: data[name] for name in READING if name in data}),
    )


def _of_run(
    place: Path,
    method: str | None,
    seed: int | None,
    device: torch.device,
    folds_too: bool,
) -> Model:
    chosen = choose_classifier(
        RunFolder(place), method, "best-on-selection" if seed is None else seed
    )
    averaged = chosen.with_folds() if folds_too else chosen
    return Model(
        classifier=averaged.classifier().to(device),
        class_names=chosen.first.class_names,
        image_shape=chosen.first.image_shape,
        name=f"{chosen.name}{WITH_FOLDS if folds_too else ''}",
        data=chosen.first.config.data,
    )


BATCH = 256
TOP = 5


@dataclass(kw_only=True)
class Predictions:
    """A line for each readable image, in the order given."""

    lines: list[dict[str, Any]] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    """Image and reason."""

    @property
    def num_labelled(self) -> int:
        """Images whose class is known."""
        return sum(line["label"] is not None for line in self.lines)

    @property
    def accuracy(self) -> float | None:
        """Top-1 over the images whose class is known, percent; None without any."""
        if not self.num_labelled:
            return None
        right = sum(line["label"] == line["class"] for line in self.lines)
        return 100 * right / self.num_labelled


def predict(
    model: Model,
    items: Iterable[Encoded],
    device: torch.device,
    progress: Callable[[int], None],
) -> Predictions:
    """Run F over images; decoding is shared by threads.

    Args:
        model: F and its preparation.
        items: images, with labels or `UNKNOWN`.
        device: where F is.
        progress: called after every batch with its number of images.
    """
    found = Predictions()
    with ThreadPoolExecutor() as pool:
        remaining = iter(items)
        while batch := list(islice(remaining, BATCH)):
            decoded = list(pool.map(lambda item: _decode(model, item), batch))
            both = list(zip(batch, decoded, strict=True))
            found.unreadable += [str(e) for _, e in both if not isinstance(e, Tensor)]
            pixels = [(i, x) for i, x in both if isinstance(x, Tensor)]
            if pixels:
                probs = model.probabilities([x for _, x in pixels], device)
                for (item, _), row in zip(pixels, probs, strict=True):
                    found.lines.append(_line(model, item, row))
            progress(len(batch))
    return found


def _decode(model: Model, item: Encoded) -> Tensor | UnreadableError:
    try:
        return model.prepared(item)
    except UnreadableError as error:
        return error


def _line(model: Model, item: Encoded, probs: Tensor) -> dict[str, Any]:
    names = model.class_names
    values, classes = probs.topk(min(TOP, len(names)))
    line: dict[str, Any] = {
        "path": item.name,
        "label": None if item.label == UNKNOWN else names[item.label],
    }
    for place, (value, label) in enumerate(
        zip(values.tolist(), classes.tolist(), strict=True), start=1
    ):
        end = "" if place == 1 else f"_{place}"
        line |= {f"class{end}": names[label], f"probability{end}": round(value, 6)}
    return line


def _as_parquet(lines: Lines) -> bytes:
    names = [name for name in lines[0] if not name.startswith("probability")]
    return as_parquet(lines, dict.fromkeys(names, pa.string()))


FORMATS = {".csv": as_csv, ".jsonl": as_json_lines, ".parquet": _as_parquet}


def check_name(path: Path) -> None:
    """Refuse a file whose name says no format, or whose folder there is not.

    Raises:
        ValueError: naming what would do.
    """
    if path.suffix not in FORMATS:
        raise ValueError(
            f"--out {path}: the name must end in {', '.join(FORMATS)}; - prints CSV"
        )
    if not path.absolute().parent.is_dir():
        raise ValueError(f"--out {path}: there is no folder {path.absolute().parent}")


def write_predictions(lines: Lines, path: Path) -> None:
    """Write the file, whole or not at all.

    Raises:
        ValueError: if it cannot be written.
    """
    with writing(f"--out {path}", "make room there, or choose another place"):
        write_bytes(path, FORMATS[path.suffix](lines))
