"""Encoded images (PNG, JPEG, ...) to one uint8 tensor.

Pixels are appended to one growing buffer that the tensor then shares, so the peak is
one copy of the images, not two. An image is taken as a viewer shows it: turned as its
EXIF orientation says, and transparent parts on white. Grey of more than 8 bits is
scaled from the range that the set uses (`data.pixel_bits`).
"""

import struct
from collections import Counter
from collections.abc import Iterable, Mapping
from io import BytesIO
from threading import Lock
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from infaug.config import DataConfig
from infaug.data.tree import Member
from infaug.storage import Location
from infaug.words import plural

UNREADABLE = (
    OSError,
    SyntaxError,  # Pillow's word for a broken PNG chunk
    ValueError,
    EOFError,
    struct.error,
    Image.DecompressionBombError,
)

ORIENTATION = 0x0112  # EXIF tag; 1: as it is stored
BACKGROUND = "white"  # behind transparent pixels
DEEP_BITS = 16  # of grey deeper than 8 bits, where nobody has looked at the set

BAD_AT_ONCE = 100  # unreadable images beyond the limit, before reading is given up
NAMED = 3

MAX_PIXELS = 2**30
_LIMIT = Lock()  # Pillow's is one for all threads.


class Encoded(NamedTuple):
    """One image as it lies in its file."""

    name: str
    """File, or file and row: what an error message should say."""
    image: bytes | Location | Member | None
    """Encoded bytes, or the file that holds them; None if the row has none."""
    label: int
    """Class index."""


class Decoded(NamedTuple):
    """The readable images of one split."""

    images: UInt8[Tensor, "N C H W"]
    labels: Int64[Tensor, "N"]
    names: tuple[str, ...]
    """Of each image: its file, or file and row."""


def centre(image: Image.Image, size: tuple[int, int], share: float) -> Image.Image:
    """The middle of an image, as large as `size`'s proportions allow or a share of it.

    Scaled to `size` (width, height), bilinearly with antialiasing.
    """
    border = (1 - share) / 2
    return ImageOps.fit(image, size, Image.Resampling.BILINEAR, bleed=border)


class Decoder:
    """Decodes images and holds all it has ever seen to one size and one mode.

    With `image_size`, the centre square is cut out and scaled to it, bilinearly with
    antialiasing. With `mode` L or RGB, images of any mode are converted. One decoder
    serves all splits of a source, so they agree; `changes` counts what was turned,
    composited or rescaled.
    """

    def __init__(self, config: DataConfig):
        self.config = config
        self.bad: list[str] = []
        self.changes: Counter[str] = Counter()
        self._first: tuple[str, Image.Image] | None = None

    def read(self, items: Iterable[Encoded]) -> "Decoded":
        """All readable items; the others are added to `bad`."""
        pixels, labels, names, shape = bytearray(), [], [], (0, 0, 0)
        for item in items:
            image = self._decode(item)
            if image is not None:
                self._check_alike(item.name, image)
                array = channels_first(image)
                shape = array.shape
                pixels += array.tobytes()
                labels.append(item.label)
                names.append(item.name)
        self._refuse_many_bad()
        if not labels:
            why = f" ({'; '.join(self.bad[:NAMED])})" if self.bad else ""
            raise ValueError(
                f"data.source {self.config.source!r} has a split without a readable "
                f"image{why}: add images or remove the split"
            )
        images = torch.frombuffer(pixels, dtype=torch.uint8).view(-1, *shape)
        return Decoded(images, torch.tensor(labels), tuple(names))

    def _decode(self, item: Encoded) -> Image.Image | None:
        config, size = self.config, self.config.image_size
        try:
            image = open_image(item, config.mode, config.pixel_bits, self.changes)
            if size is not None and image.mode in ("L", "RGB"):
                image = centre(image, (size, size), config.centre_crop)
            return image
        except UnreadableError as error:
            self.bad.append(str(error))
            if len(self.bad) >= config.max_bad_images + BAD_AT_ONCE:
                self._refuse_many_bad()
            return None

    def _refuse_many_bad(self) -> None:
        """After all were tried: who repairs them wants to hear of them together."""
        num = len(self.bad)
        if num > self.config.max_bad_images:
            named = [*self.bad[:NAMED], *["..."] * (num > NAMED)]
            raise ValueError(
                f"{'; '.join(named)}; unreadable images so far: {num}. Repair or "
                f"remove them, or skip such images with --data.max-bad-images {num} or "
                "more"
            )

    def _check_alike(self, name: str, image: Image.Image) -> None:
        first_name, first = self._first = self._first or (name, image)
        if image.mode not in ("L", "RGB"):
            raise ValueError(
                f"{name} has mode {image.mode}, neither 8-bit grey (L) nor colour "
                "(RGB): choose one with --color-mode L or --color-mode RGB"
            )
        if image.mode != first.mode:
            raise ValueError(
                f"images differ in mode: {first_name} is {first.mode}, {name} is "
                f"{image.mode}; convert all with --color-mode RGB"
            )
        if image.size != first.size:
            raise ValueError(
                f"images differ in size: {first_name} is {_by(first)}, {name} is "
                f"{_by(image)} pixels; resize all with --data.image-size 64"
            )


class UnreadableError(ValueError):
    """An image that cannot be decoded."""

    def __init__(self, name: str, why: str):
        super().__init__(f"{name} cannot be read ({why})")


def opened(source: BytesIO | str) -> Image.Image:
    """An image of which the header is read, with `MAX_PIXELS` at most.

    Pillow takes images of 179 megapixels for attacks; telephones take them of 200.
    """
    try:
        return Image.open(source)
    except Image.DecompressionBombError:
        with _LIMIT:
            before = Image.MAX_IMAGE_PIXELS
            Image.MAX_IMAGE_PIXELS = MAX_PIXELS // 2
            try:
                return Image.open(source)
            finally:
                Image.MAX_IMAGE_PIXELS = before


def open_image(
    item: Encoded,
    mode: str,
    pixel_bits: int | None = None,
    changes: Counter[str] | None = None,
) -> Image.Image:
    """The decoded image as a viewer shows it, converted unless `mode` is `auto`.

    Args:
        item: the encoded image.
        mode: L, RGB or auto.
        pixel_bits: bits that grey of more than 8 bits uses; None: 16.
        changes: counts images that were turned, composited or rescaled.
    """
    content = content_of(item)
    try:
        with opened(BytesIO(content)) as image:
            image.load()
            found = changes_of(image)
            if changes is not None:
                changes.update(found)
            if "turned" in found:
                image = ImageOps.exif_transpose(image)
            if mode == "auto":
                return image
            return _without_alpha(_eight_bits(image, pixel_bits)).convert(mode)
    except UNREADABLE as error:
        why = "it is empty" if not content else reason(error)
        raise UnreadableError(item.name, why) from error


def changes_of(image: Image.Image) -> list[str]:
    """What is done to an opened image: turned, composited, rescaled."""
    found = {
        "turned": image.getexif().get(ORIENTATION, 1) in range(2, 9),
        "composited": image.has_transparency_data,
        "rescaled": is_deep(image),
    }
    return [what for what, holds in found.items() if holds]


def change_lines(changes: Mapping[str, int], among: str = "") -> list[str]:
    """Lines about images that do not look as their stored pixels.

    `among`: of how many, if not of all.
    """
    why = {
        "turned": "as their EXIF orientation says",
        "composited": "on white, for parts of them are transparent",
        "rescaled": "to 8 bits, for they have more",
    }
    return [
        f"{what:10} {plural(changes[what], 'image')}{among} {reason}"
        for what, reason in why.items()
        if changes[what]
    ]


def is_deep(image: Image.Image) -> bool:
    """Whether it is grey of more than 8 bits a pixel."""
    return image.mode.startswith("I")


def largest_value(image: Image.Image) -> int:
    """Of the pixels of a deep image."""
    return int(np.asarray(image).max())


def reason(error: Exception) -> str:
    """Why an image is unreadable, in words that are the same each time."""
    if isinstance(error, UnidentifiedImageError):
        return "not an image of a known format"  # Pillow's text has an address in it.
    return str(error)


def content_of(item: Encoded) -> bytes:
    """The encoded bytes; storage that is away is no fault of the image."""
    if item.image is None:
        raise UnreadableError(item.name, "the row holds no image bytes")
    if isinstance(item.image, bytes):
        return item.image
    try:
        return item.image.read_bytes()
    except ValueError as error:
        if item.image.is_local:
            raise UnreadableError(item.name, str(error)) from error
        raise


def _eight_bits(image: Image.Image, pixel_bits: int | None) -> Image.Image:
    if image.mode == "F":
        raise ValueError("32-bit float pixels have no known range; store 8 bits")
    if is_deep(image):
        # Pillow's own conversion clips at 255 instead of scaling.
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0:
            raise ValueError("pixels below 0 have no known range; store 8 bits")
        upper = values >> max((pixel_bits or DEEP_BITS) - 8, 0)
        return Image.fromarray(upper.clip(0, 255).astype(np.uint8))
    return image


def _without_alpha(image: Image.Image) -> Image.Image:
    """On one colour, for what lies under transparent pixels is anything at all."""
    if not image.has_transparency_data:
        return image
    layer = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, BACKGROUND), layer)


def channels_first(image: Image.Image) -> np.ndarray:
    """[C, H, W], uint8."""
    array = np.asarray(image)
    return array[None] if array.ndim == 2 else array.transpose(2, 0, 1)


def _by(image: Image.Image) -> str:
    return f"{image.width}x{image.height}"
