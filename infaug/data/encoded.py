"""Encoded images on their way to Parquet: checked, and made smaller if asked."""

from io import BytesIO

from PIL import Image, ImageOps

JPEG_QUALITY = 95
JPEG = ("JPEG", "MPO")  # MPO: a JPEG with a preview behind it, as telephones write
# What PNG can hold and Pillow can interpolate; palettes and bits cannot be averaged.
SMOOTH = ("L", "LA", "I", "RGB", "RGBA")


def checked(content: bytes, shorter_side: int | None) -> bytes:
    """The same bytes once they were decoded, or those of a smaller image.

    Larger images are shrunk so that the shorter side has `shorter_side` pixels, bicubic
    with antialiasing, and encoded as JPEG of quality 95 if they were JPEG, else as PNG.
    They are turned as their EXIF orientation says, for metadata is not kept then.

    Raises:
        One of `decode.UNREADABLE`: if they are no whole image.
    """
    with Image.open(BytesIO(content)) as image:
        image.load()
        if shorter_side is None or min(image.size) <= shorter_side:
            return content
        upright = ImageOps.exif_transpose(image)
        return _encoded(_shrunk(upright, shorter_side, image.format), image.format)


def _shrunk(image: Image.Image, shorter_side: int, was: str | None) -> Image.Image:
    width, height = image.size
    scale = shorter_side / min(width, height)
    return _smooth(image, was).resize(
        (round(width * scale), round(height * scale)), Image.Resampling.BICUBIC
    )


def _smooth(image: Image.Image, was: str | None) -> Image.Image:
    if image.mode in SMOOTH or (image.mode == "CMYK" and was in JPEG):
        return image
    if image.mode == "1":
        return image.convert("L")
    if image.mode.startswith("I;16"):
        return image.convert("I")
    has_alpha = "transparency" in image.info
    return image.convert("RGBA" if has_alpha else "RGB")


def _encoded(image: Image.Image, source_format: str | None) -> bytes:
    buffer = BytesIO()
    if source_format in JPEG:
        image.save(buffer, format="JPEG", quality=JPEG_QUALITY)
    else:
        is_wide = image.mode == "I"  # PNG has 16 bits, not 32.
        (image.convert("I;16") if is_wide else image).save(buffer, format="PNG")
    return buffer.getvalue()
