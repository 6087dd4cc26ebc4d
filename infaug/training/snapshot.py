"""What s_val is computed from: F as it stood at one step, and how images are drawn.

Everything here is a function of a snapshot and of images, chunk by chunk. So any
process can do any part of it, as often as requested, and gets the same bytes.
"""

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from infaug.data.dataset import Labelled, to_float
from infaug.data.on_disk import ImageSet
from infaug.data.share import CHUNK, local_part, local_rows
from infaug.influence.features import check_deterministic, head_inputs
from infaug.influence.hessian import LastLayerHessian
from infaug.influence.score import head_gradient_sum
from infaug.influence.sharded import in_order
from infaug.randomness import RandomNumbers, SeedKey
from infaug.types import Augment, Classifier
from infaug.world import World

ALONE = World()

# Sum of the head gradients of some images, and how many they are.
GradientSum = tuple[Tensor, Tensor]


@dataclass(frozen=True, eq=False, kw_only=True)
class Snapshot:
    """F, in evaluation mode, and the views its training images go through."""

    classifier: Classifier
    """F; nothing of it changes while the snapshot is in use."""
    augments: tuple[Augment, ...]
    """The views H averages over; none: the originals."""
    seed_key: tuple[SeedKey, ...]
    """What the views' random numbers are for."""
    start: Float[Tensor, "Y D1"]
    """Where the solver begins, such as the last S."""

    def to(self, device: torch.device | str) -> "Snapshot":
        """A copy on a device, with networks of its own."""
        classifier, augments = copy.deepcopy((self.classifier, self.augments))
        for network in _networks((classifier, *augments)):
            network.to(device)
        return replace(
            self,
            classifier=classifier,
            augments=augments,
            start=self.start.to(device, copy=True),
        )


def _networks(parts: Sequence[object]) -> list[nn.Module]:
    """The networks among `parts` and among the attributes and parts of those."""
    found: list[nn.Module] = []
    for part in parts:
        if isinstance(part, nn.Module):
            found.append(part)
        elif isinstance(part, (tuple, list)):
            found += _networks(part)
        elif hasattr(part, "__dict__"):
            found += _networks(list(vars(part).values()))
    return found


def shards_of(num_images: int, num_shards: int) -> list[range]:
    """The chunks of each shard: contiguous, and no shard is empty.

    >>> shards_of(1001, 2)
    [range(0, 2), range(2, 5)]
    >>> len(shards_of(600, 8))
    3
    """
    num_chunks = len(range(0, num_images, CHUNK))
    num = min(num_shards, num_chunks)
    bounds = [shard * num_chunks // num for shard in range(num + 1)]
    return [range(*pair) for pair in pairwise(bounds)]


def rows_of_chunks(chunks: range) -> slice:
    """Where the images of these chunks lie."""
    return slice(chunks.start * CHUNK, chunks.stop * CHUNK)


def inputs(
    snapshot: Snapshot,
    images: UInt8[Tensor, "n C H W"],
    chunks: range,
    view: int | None = None,
) -> tuple[Float[Tensor, "n D1"], Float[Tensor, "n Y"]]:
    """What the head sees of `images`, which are those of `chunks`: h1 and p.

    Args:
        snapshot: F.
        images: where F is, or on the CPU.
        chunks: the numbers of these images' chunks in the whole split.
        view: which of the snapshot's augmentations; None: the originals.
    """
    weight = snapshot.classifier.head.weight
    h1 = [weight.new_zeros(0, weight.shape[1] + 1)]
    probs = [weight.new_zeros(0, weight.shape[0])]
    for first, chunk in enumerate(chunks):
        part = images[first * CHUNK : (first + 1) * CHUNK]
        x = to_float(part.to(weight.device)).to(weight.dtype)
        if view is not None:
            seed_key = (*snapshot.seed_key, "view", view, chunk)
            rng = RandomNumbers.of_size(len(x), *seed_key, device=x.device)
            x = snapshot.augments[view](x, rng)
        new_h1, new_probs = head_inputs(snapshot.classifier, x, batch_size=CHUNK)
        h1.append(new_h1)
        probs.append(new_probs)
    return torch.cat(h1), torch.cat(probs)


def views_of(snapshot: Snapshot) -> Sequence[int | None]:
    """The views H averages over: numbers, or None for the originals."""
    return range(len(snapshot.augments)) or (None,)


def shard_hessian(
    snapshot: Snapshot, images: UInt8[Tensor, "n C H W"], chunks: range
) -> LastLayerHessian:
    """H over all views of one shard's images."""
    parts = [inputs(snapshot, images, chunks, view) for view in views_of(snapshot)]
    return LastLayerHessian(
        torch.cat([h1 for h1, _ in parts]), torch.cat([p for _, p in parts])
    )


def shared_inputs(
    snapshot: Snapshot, split: ImageSet, world: World, view: int | None = None
) -> tuple[Float[Tensor, "N D1"], Float[Tensor, "N Y"]]:
    """`inputs` of a whole split, computed by all processes and known to each."""
    own, rows = local_part(split, world, CHUNK), local_rows(split, world, CHUNK)
    chunks = range(rows.start // CHUNK, -(-rows.stop // CHUNK))
    h1, probs = inputs(snapshot, own.images, chunks, view)
    return world.gather(h1), world.gather(probs)


def validation_gradient(
    snapshot: Snapshot, influence: ImageSet, num_shards: int = 1, world: World = ALONE
) -> Float[Tensor, "Y D1"]:
    """Gradient of L_val: the mean over the influence split.

    Shards are summed one after the other, as the actors of a pool sum theirs.

    Raises:
        ValueError: if two passes through F differ.
    """
    # The first process has images if any has.
    own = local_part(influence, world, CHUNK)
    world.first(partial(_check_deterministic, snapshot, own))
    h1, probs = shared_inputs(snapshot, influence, world)
    parts = []
    for chunks in shards_of(len(influence), num_shards):
        rows = rows_of_chunks(chunks)
        # Copies: the bytes of a product depend on how its operands are aligned.
        own = h1[rows].clone(), probs[rows].clone()
        parts.append(_gradient_sum(*own, influence.labels[rows]))
    return mean_of_sums(parts)


def shard_gradient(snapshot: Snapshot, shard: Labelled, chunks: range) -> GradientSum:
    """What one shard of the influence split adds to the gradient of L_val.

    Raises:
        ValueError: if this is the first shard, and two passes through F differ.
    """
    if chunks.start == 0:
        _check_deterministic(snapshot, shard)
    h1, probs = inputs(snapshot, shard.images, chunks)
    return _gradient_sum(h1, probs, shard.labels)


def mean_of_sums(parts: Iterable[GradientSum]) -> Float[Tensor, "Y D1"]:
    """The gradient of L_val of the sums of all shards, in order."""
    totals, nums = zip(*parts, strict=True)
    return in_order(totals) / in_order(nums)


def _gradient_sum(h1: Tensor, probs: Tensor, labels: Tensor) -> GradientSum:
    one_hot = torch.nn.functional.one_hot(labels.to(probs.device), probs.shape[1])
    total = head_gradient_sum(probs, one_hot.to(probs.dtype), h1)
    return total, total.new_tensor(len(probs))


def _check_deterministic(snapshot: Snapshot, images: Labelled) -> None:
    weight = snapshot.classifier.head.weight
    probe = to_float(images.images[:CHUNK].to(weight.device)).to(weight.dtype)
    check_deterministic(snapshot.classifier, probe)
