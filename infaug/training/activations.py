"""What the frozen layers of F make of a few draws of each view, computed once.

RUN/activations/KEY/DIGEST-NUM.npy   of one image: its NUM draws, float16

The draws of an image follow from its pixels alone, so all methods, folds and seeds of
an experiment share them. Trainings that run at the same time share the work.
"""

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from infaug.classify.backbone import Backbone
from infaug.data.batches import Batches
from infaug.data.dataset import Labelled, to_float
from infaug.precision import autocast
from infaug.randomness import RandomNumbers, generator, to_device
from infaug.types import Augment, Views

FOLDER = "activations"
MAX_BYTES = 2**31  # of all draws in memory; more, and views are made step by step
MAX_TIMES = 4  # as many draws, of an image that comes several times among those trained


class Activations:
    """The activations of all draws, and the batches that are picked from them.

    Args:
        classifier: F, frozen.
        augments: what each of the K views goes through, by a name that says all of it;
            equal names share their draws.
        images: of all that will be asked for.
        num_draws: of each view of an image, and up to `MAX_TIMES` as many of one that
            is repeated among them: few target images are seen often.
        folder: where activations are kept.
        precision: that F computes in.
    """

    def __init__(
        self,
        classifier: Backbone,
        augments: list[tuple[str, Augment]],
        images: Iterable[Labelled],
        *,
        num_draws: int,
        folder: Path,
        precision: str,
    ):
        self.classifier = classifier
        self.folder, self.precision = folder, precision
        self.names = [name for name, _ in augments]
        self.rows: dict[str, int] = {}
        unique, times = [], Counter[str]()
        for labelled in images:
            digests = [digest_of(image) for image in labelled.images]
            times |= Counter(digests)
            for digest, image in zip(digests, labelled.images, strict=True):
                if self.rows.setdefault(digest, len(unique)) == len(unique):
                    unique.append(image)
        self.counts = torch.tensor(
            [num_draws * min(times[digest], MAX_TIMES) for digest in self.rows]
        )
        self.starts = self.counts.cumsum(0) - self.counts
        self.known = {n: self._all(n, augment, unique) for n, augment in augments}
        self.found: dict[int, Tensor] = {}

    def at(self, batches: Batches, step: int) -> Views:
        """The views of a step's batch: activations in place of images."""
        positions, rng = batches.positions(step), batches.rng(step)
        images, device = batches.labelled, batches.device
        if id(batches) not in self.found:
            rows = [self.rows[digest_of(image)] for image in images.images]
            self.found[id(batches)] = torch.tensor(rows)
        rows = self.found[id(batches)][positions.cpu()]
        views = []
        for k, name in enumerate(self.names):
            unit = rng.fork("view", k).uniform(0, 1).cpu()
            picked = self.starts[rows] + (unit * self.counts[rows]).long()
            views.append(to_device(self.known[name][picked], device).float())
        y = F.one_hot(images.labels[positions], images.num_classes).float()
        shape = (len(y), len(views))
        return Views(
            torch.stack(views, dim=1),
            y[:, None].expand(*shape, -1),
            torch.full(shape, 1 / len(views), device=device),
        )

    @torch.no_grad()
    def _all(self, name: str, augment: Augment, images: list[Tensor]) -> Tensor:
        """The activations of all draws of a view, image after image."""
        folder = self.folder / blake2b(name.encode(), digest_size=8).hexdigest()
        folder.mkdir(parents=True, exist_ok=True)
        files = [
            folder / f"{digest}-{count}.npy"
            for digest, count in zip(self.rows, self.counts.tolist(), strict=True)
        ]
        # In an order of its own, so that processes that begin together share the work.
        order = generator("order", os.getpid())
        for k in torch.randperm(len(images), generator=order).tolist():
            if not files[k].exists():
                count = int(self.counts[k])
                _save(files[k], self._rng_of(images[k], count, augment))
        return torch.from_numpy(np.concatenate([np.load(file) for file in files]))

    def _rng_of(self, image: Tensor, count: int, augment: Augment) -> Tensor:
        x = to_float(image[None]).expand(count, *image.shape)
        rng = RandomNumbers.of_size(count, "draws", digest_of(image), device=x.device)
        x = augment(x, rng)  # in float32: operations mix no precisions
        with autocast(x.device, self.precision):
            return self.classifier.first(x)


def digest_of(image: Tensor) -> str:
    """A hash of an image's pixels."""
    pixels = image.cpu().contiguous().numpy().data
    return blake2b(pixels, digest_size=12).hexdigest()


def digest_of_state(state: Mapping[str, Tensor]) -> str:
    """A hash of tensors, whatever their order, and their names."""
    total = blake2b(digest_size=16)
    for name, tensor in sorted(state.items()):
        total.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        total.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return total.hexdigest()


def fits_memory(
    classifier: Backbone, sets: Sequence[Labelled], num_views: int, num_draws: int
) -> bool:
    """Whether the activations of all draws of the views are few enough to be kept."""
    num = sum(map(len, sets))
    with torch.no_grad():
        made = classifier.first(to_float(sets[0].images[:1]))
    return num * num_views * num_draws * made.numel() * 2 <= MAX_BYTES


def _save(file: Path, made: Tensor) -> None:
    """Whole or not at all, whichever process is first."""
    largest = torch.finfo(torch.float16).max
    values = made.float().clamp(-largest, largest).half().cpu().numpy()
    partial = file.with_suffix(f".{os.getpid()}.partial")
    with partial.open("wb") as to:
        np.save(to, values)
    partial.replace(file)
