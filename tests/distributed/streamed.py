"""Digits in Parquet, for jobs that stream them."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from reading import encoded
from torchvision.transforms.functional import to_pil_image

from infaug.data.digits import digits


def write_digits(folder: Path, num: int) -> None:
    """Write `num` of scikit-learn's digits as PNG, in row groups of eight."""
    folder.mkdir()
    drawn = digits(image_size=16)
    columns = {
        "image": [encoded(to_pil_image(image)) for image in drawn.images[:num]],
        "label": drawn.labels[:num].tolist(),
    }
    pq.write_table(pa.table(columns), folder / "train.parquet", row_group_size=8)
