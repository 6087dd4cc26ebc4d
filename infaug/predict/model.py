"""A trained F, with all that images must go through before it sees them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from infaug.classify.network import ImageClassifier
from infaug.config import DataConfig
from infaug.data.dataset import to_float
from infaug.data.decode import Encoded, centre, channels_first, open_image
from infaug.experiment.finished import choose_classifier
from infaug.export.artefact import CARD, load_classifier, read_card
from infaug.record.folder import RunFolder

READING = ("image_column", "label_column", "path_column", "pixel_bits")


@dataclass(frozen=True, eq=False, kw_only=True)
class Model:
    """F in evaluation mode, in float32."""

    classifier: ImageClassifier
    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int]
    """(C, H, W)."""
    name: str
    """ROW-seedK."""
    data: DataConfig
    """How the run's own images were read: columns, and bits of deep grey."""

    def prepared(self, item: Encoded) -> Tensor:
        """The image as the run's own were: uint8 [C, H, W].

        Converted to the run's mode; of another size, its middle is cut out in the run's
        proportions and scaled, as --data.image-size does.
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
    place: Path, row: str | None, seed: int | None, device: torch.device
) -> Model:
    """F of an exported folder, or of a finished training."""
    if (place / CARD).exists():
        if row is not None or seed is not None:
            raise ValueError(
                f"{place} is an export, which holds one classifier: leave out --method "
                "and --seed, or give the run it came from"
            )
        return _of_export(place, device)
    if not (place / "config.json").exists():
        raise ValueError(
            f"{place} is neither a run nor a folder that `infaug export` wrote: give "
            "the --out of an `infaug fit`"
        )
    return _of_run(place, row, seed, device)


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
    place: Path, row: str | None, seed: int | None, device: torch.device
) -> Model:
    chosen = choose_classifier(
        RunFolder(place), row, "best-on-selection" if seed is None else seed
    )
    return Model(
        classifier=chosen.classifier().to(device),
        class_names=chosen.class_names,
        image_shape=chosen.image_shape,
        name=chosen.name,
        data=chosen.config.data,
    )
