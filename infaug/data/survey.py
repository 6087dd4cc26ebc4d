"""What the headers of a source's images say, and the size and mode that follow from it.

Nothing is decoded. Of large sets a part is looked at, spread out evenly: what follows
is a function of the images all the same.
"""

import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from io import BytesIO
from statistics import median

from infaug.config import DataConfig
from infaug.data.decode import (
    DEEP_BITS,
    ORIENTATION,
    UNREADABLE,
    Encoded,
    changes_of,
    content_of,
    is_deep,
    largest_value,
    opened,
)
from infaug.data.listing import Listed, listed
from infaug.data.on_disk import OnDisk
from infaug.data.parquet import RowGroup, num_rows, read_items, row_groups
from infaug.storage import Location

MAX_HEADERS = 2000  # of each split; a thousandth of a second each
MAX_REMOTE = 50  # where each header is a request to an object store
MAX_GROUPS = 20  # of a Parquet set whose rows are more than that

GREY_MODES = frozenset(("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L"))
SIZES = (16, 24, 28, 32, 40, 48, 64, 80, 96, 112, 128, 160, 192, 224)


@dataclass
class Survey:
    """Counts over the headers that were read, of all splits together."""

    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    """By width and height, pixels."""
    modes: Counter[str] = field(default_factory=Counter)
    """By Pillow's name of the mode."""
    deepest: int = 0
    """Largest value of grey images of more than 8 bits; 0 without such."""
    num_rows: int = 0
    """Training images in Parquet: they may be streamed."""

    def add(self, items: Iterable[Encoded]) -> None:
        """Read their headers; images without one are passed over."""
        for item in items:
            with contextlib.suppress(*UNREADABLE), opened(_file_of(item)) as image:
                is_turned = image.getexif().get(ORIENTATION, 1) in range(5, 9)
                width, height = image.size
                mode = image.mode
                deepest = largest_value(image) if is_deep(image) else 0
                self.deepest = max(self.deepest, deepest)
                self.sizes[(height, width) if is_turned else (width, height)] += 1
                self.modes[mode] += 1


def resolve_images(
    config: DataConfig, max_size: int = SIZES[-1], min_size: int = 1
) -> tuple[DataConfig, list[str]]:
    """The size and mode that images get, where they differ and nobody has said.

    Images that are alike stay as they are, if they are no larger than `max_size` and no
    smaller than `min_size`. Else the size is the largest usual one up to that and to
    the median shorter side, but `min_size` at least, and the mode grey if all of them
    are.

    Returns:
        The config with what was chosen, and a line for the user about each choice.
    """
    is_chosen = config.image_size and config.mode != "auto" and config.pixel_bits
    if config.source == "digits" or is_chosen:
        return config, []
    found, lines = _survey(config), []
    if config.pixel_bits is None and found.deepest:
        bits = max(found.deepest.bit_length(), 8)
        config = replace(config, pixel_bits=bits)
        if bits != DEEP_BITS:
            lines.append(
                f"grey       values up to {found.deepest:,}: taken as {bits} bits and "
                "scaled to 8 (--data.pixel-bits decides)"
            )
    if config.mode == "auto" and (mode := _mode(found)):
        config = replace(config, mode=mode)
        named = ", ".join(f"{n} {name}" for name, n in found.modes.most_common(4))
        lines.append(f"mode       {mode}: images are {named} (--color-mode decides)")
    sizes = found.sizes
    side = int(median(min(size) for size in sizes.elements())) if sizes else 0
    is_out = bool(sizes) and not min_size <= side <= max_size
    is_open = len(sizes) > 1 or is_out or _must_stream(config, found)
    if not config.image_size and is_open:
        size = max(usual_size(min(side, max_size)), min_size)
        config = replace(config, image_size=size)
        (a, b), (c, d) = min(sizes), max(sizes)
        why = _why(side, max_size, min_size)
        lines.append(
            f"size       {size}x{size}: images are {a}x{b} to "
            f"{c}x{d} pixels, the shorter side {side} in the middle; each one's centre "
            f"square is scaled{why} (--data.image-size decides)"
        )
    return config, lines


def _why(side: int, max_size: int, min_size: int) -> str:
    """What to say where hardware or pretrained weights ask for another size."""
    if side < min_size:
        return f", at least {min_size} px for pretrained weights"
    if side <= max_size or max_size == SIZES[-1]:
        return ""
    return f", at most {max_size} px on a CPU"


def usual_size(side: int) -> int:
    """The largest usual size that is no larger than `side`; at least 8.

    >>> usual_size(375), usual_size(33), usual_size(9), usual_size(2)
    (224, 32, 9, 8)
    """
    return max((size for size in SIZES if size <= side), default=max(side, 8))


def _survey(config: DataConfig) -> Survey:
    """The images of `config.source`, and of its target if there is one."""
    found = Survey()
    for part in listed(config.source, config).values():
        found.num_rows += num_rows(part.files)
        found.add(_sample(part, config))
    if config.target_source is not None:
        for part in listed(config.target_source, config.of_target).values():
            found.add(_sample(part, config.of_target))
    return found


def _mode(found: Survey) -> str | None:
    """The mode they are converted to, or None if all have one that F can see."""
    modes = set(found.modes)
    if not modes or modes in ({"L"}, {"RGB"}):
        return None
    return "L" if modes <= GREY_MODES else "RGB"


def _must_stream(config: DataConfig, found: Survey) -> bool:
    """Whether they would be streamed at the size they have: it must be resolved."""
    (width, height) = max(found.sizes, default=(0, 0))
    pixels = found.num_rows * width * height * (1 if config.mode == "L" else 3)
    return pixels / 2**30 > config.stream_above_gib


def _sample(part: Listed, config: DataConfig) -> Iterable[Encoded]:
    if not part.files:
        items = list(part.items())
        is_remote = any(
            isinstance(each.image, Location) and not each.image.is_local
            for each in items
        )
        return _spread(items, MAX_REMOTE if is_remote else MAX_HEADERS)
    if num_rows(part.files) <= MAX_HEADERS:
        return part.items()
    return _rows(row_groups(part.files, config), part.class_names)


def sampled_changes(images: OnDisk) -> tuple[Counter[str], int]:
    """How many of some streamed images are changed as they are read, and of how many.

    They are counted as `decode.changes_of` has it.
    """
    changes, num = Counter[str](), 0
    for item in _rows(images.reader.groups, images.reader.class_names):
        with contextlib.suppress(*UNREADABLE), opened(_file_of(item)) as image:
            changes.update(changes_of(image))
            num += 1
    return changes, num


def _rows(
    groups: Sequence[RowGroup], class_names: tuple[str, ...] | None
) -> Iterator[Encoded]:
    """Rows of a few row groups, for each is read as a whole."""
    for group in _spread(groups, MAX_GROUPS):
        wanted = set(_spread(group.positions, MAX_HEADERS // MAX_GROUPS))
        for _, item in read_items(group, class_names, wanted):
            yield item


def _spread(items: Sequence, max_items: int) -> Sequence:
    """At most so many, at equal distances."""
    return items[:: max(-(-len(items) // max_items), 1)]


def _file_of(item: Encoded) -> BytesIO | str:
    """What Pillow reads a header from; of a local file it reads no more."""
    if isinstance(item.image, Location) and item.image.is_local:
        return item.image.base
    return BytesIO(content_of(item))
