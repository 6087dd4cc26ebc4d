"""The handwritten digits that come with scikit-learn: real images without a download.

They are enlarged and given a black margin: the originals fill their 8x8 pixels, so any
rotation or translation would cut strokes off.
"""

from typing import Any, Literal

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits

from infaug.data.dataset import Labelled


def digits(*, image_size: int = 16, mode: Literal["L", "RGB"] = "L") -> Labelled:
    """The 1797 digits of scikit-learn (UCI optdigits, Alpaydin and Kaynak, 1998).

    8x8 values 0..16 become 0..255, enlarged bilinearly to three quarters of
    `image_size` (12x12 by default) and centred on black; for RGB, three equal channels.
    """
    bunch: Any = load_digits()
    grey = torch.as_tensor(bunch.images, dtype=torch.float32)[:, None] * (255 / 16)
    inner = round(image_size * 3 / 4)
    low = (image_size - inner) // 2
    high = image_size - inner - low
    grey = F.interpolate(grey, size=(inner, inner), mode="bilinear")
    images = F.pad(grey.round().to(torch.uint8), (low, high, low, high))
    if mode == "RGB":
        images = images.repeat(1, 3, 1, 1)
    labels = torch.as_tensor(bunch.target, dtype=torch.int64)
    return Labelled(images, labels, tuple(str(digit) for digit in range(10)))
