"""Digits in Parquet, for jobs that stream them."""

from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from infaug.data.digits import digits


def write_digits(folder: Path, num: int) -> None:
    """Write `num` of scikit-learn's digits as PNG, in row groups of eight."""
    folder.mkdir()
    drawn = digits(image_size=16)
    columns = {
        "image": [_png(image.numpy()) for image in drawn.images[:num, 0]],
        "label": drawn.labels[:num].tolist(),
    }
    pq.write_table(pa.table(columns), folder / "train.parquet", row_group_size=8)


def _png(pixels) -> bytes:
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()
