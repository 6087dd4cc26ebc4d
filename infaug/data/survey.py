"""What the headers of a source's images say, and the size and mode that follow from it.

Nothing is decoded. Of large sets a part is looked at, spread out evenly: what follows
is a function of the images all the same.
"""

import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from io import BytesIO
from itertools import islice
from statistics import median

from PIL import Image

from infaug.config import DataConfig
from infaug.data.decode import (
    DEEP_BITS,
    ORIENTATION,
    UNREADABLE,
    Encoded,
    changes_of,
    is_deep,
    largest_value,
)
from infaug.data.listing import Listed, listed
from infaug.data.on_disk import OnDisk
from infaug.data.parquet import RowGroup, num_rows, read_items, row_groups
from infaug.storage import Location

MOST_HEADERS = 2000  # of each split; a thousandth of a second each
MOST_FAR = 50  # where each header is a request to an object store
GROUPS_READ = 20  # of a Parquet set whose rows are more than that

GREY_MODES = frozenset(("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L"))
SIZES = (16, 24, 28, 32, 40, 48, 64, 80, 96, 112, 128, 160, 192, 224)


@dataclass(frozen=True, kw_only=True)
class Survey:
    """Counts over the headers that were read, of all splits together."""

    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    """By width and height, pixels."""
    modes: Counter[str] = field(default_factory=Counter)
    """By Pillow's name of the mode."""
    deepest: int = 0
    """Largest value of grey images of more than 8 bits; 0 without such."""
    unreadable: tuple[str, ...] = ()
    """Images without a header."""

    def __add__(self, other: "Survey") -> "Survey":
        return Survey(
            sizes=self.sizes + other.sizes,
            modes=self.modes + other.modes,
            deepest=max(self.deepest, other.deepest),
            unreadable=self.unreadable + other.unreadable,
        )

    @property
    def num(self) -> int:
        """Headers that were read."""
        return self.sizes.total()

    @property
    def shorter_side(self) -> int:
        """The median of the shorter sides, pixels."""
        return int(median(min(size) for size in self.sizes.elements()))


def survey(config: DataConfig) -> Survey:
    """Look at the images of `config.source`, and of its target if there is one."""
    found = Survey()
    targets = [config.of_target] if config.target_source is not None else []
    for each in (config, *targets):
        if each.source != "digits":
            for part in listed(each.source, each).values():
                found += _headers(_sample(part, each))
    return found


def settle_images(config: DataConfig) -> tuple[DataConfig, list[str]]:
    """The size and mode that images get, where they differ and nobody has said.

    Images that are alike stay as they are. Else the size is the largest usual one up to
    the median shorter side, at most 224, and the mode grey if all of them are.

    Returns:
        The config with what was chosen, and a line for the user about each choice.
    """
    if config.source == "digits" or (
        config.image_size and config.mode != "auto" and config.pixel_bits
    ):
        return config, []
    found = survey(config)
    if not found.num:
        return config, []
    told = []
    if config.pixel_bits is None and found.deepest:
        bits = max(found.deepest.bit_length(), 8)
        config = replace(config, pixel_bits=bits)
        if bits != DEEP_BITS:
            told.append(
                f"grey       values up to {found.deepest:,}: taken as {bits} bits and "
                "scaled to 8 (--data.pixel-bits decides)"
            )
    if config.mode == "auto" and (mode := _mode(found)):
        config = replace(config, mode=mode)
        named = ", ".join(f"{n} {name}" for name, n in found.modes.most_common(4))
        told.append(f"mode       {mode}: images are {named} (--color-mode decides)")
    if config.image_size is None and (len(found.sizes) > 1 or _too_many(config, found)):
        size = usual_size(found.shorter_side)
        config = replace(config, image_size=size)
        least, most = min(found.sizes), max(found.sizes)
        told.append(
            f"size       {size}x{size}: images are {_by(least)} to {_by(most)} pixels, "
            f"the shorter side {found.shorter_side} in the middle; each one's centre "
            "square is scaled (--data.image-size decides)"
        )
    return config, told


def usual_size(side: int) -> int:
    """The largest usual size that is no larger than `side`; at least 8.

    >>> usual_size(375), usual_size(33), usual_size(9), usual_size(2)
    (224, 32, 9, 8)
    """
    return max((size for size in SIZES if size <= side), default=max(side, 8))


def _mode(found: Survey) -> str | None:
    """The mode they are converted to, or None if all have one that F can see."""
    modes = set(found.modes)
    if modes in ({"L"}, {"RGB"}):
        return None
    return "L" if modes <= GREY_MODES else "RGB"


def _too_many(config: DataConfig, found: Survey) -> bool:
    """Whether they would be streamed at the size they have: that size must be said."""
    rows = sum(num_rows(part.files) for part in listed(config.source, config).values())
    (width, height), channels = max(found.sizes), 1 if config.mode == "L" else 3
    return rows * channels * width * height / 2**30 > config.stream_above_gib


def _sample(part: Listed, config: DataConfig) -> Iterable[Encoded]:
    if not part.files:
        items = list(part.items())
        far = any(isinstance(x.image, Location) and not x.image.is_local for x in items)
        return _spread(items, MOST_FAR if far else MOST_HEADERS)
    if num_rows(part.files) <= MOST_HEADERS:
        return part.items()
    return _rows(row_groups(part.files, config), part.class_names)


def sampled_changes(images: OnDisk) -> tuple[Counter[str], int]:
    """How many of some streamed images are changed as they are read, and of how many.

    They are counted as `decode.changes_of` has it.
    """
    changes, num = Counter[str](), 0
    for item in _rows(images.reader.groups, images.reader.class_names):
        with contextlib.suppress(*UNREADABLE), Image.open(_opened(item)) as image:
            changes.update(changes_of(image))
            num += 1
    return changes, num


def _rows(
    groups: Sequence[RowGroup], class_names: tuple[str, ...] | None
) -> Iterator[Encoded]:
    """Rows of a few row groups, for each is read as a whole."""
    for group in _spread(groups, GROUPS_READ):
        wanted = _spread(group.positions, MOST_HEADERS // GROUPS_READ)
        for _, item in read_items(group, class_names, set(wanted)):
            yield item


def _spread(items: Sequence, most: int) -> list:
    """At most so many, at equal distances."""
    step = max(-(-len(items) // most), 1)
    return list(islice(items, 0, None, step))


def _headers(items: Iterable[Encoded]) -> Survey:
    sizes, modes, unreadable, deepest = Counter(), Counter(), [], 0
    for item in items:
        try:
            with Image.open(_opened(item)) as image:
                is_turned = image.getexif().get(ORIENTATION, 1) in range(5, 9)
                sizes[image.size[::-1] if is_turned else image.size] += 1
                modes[image.mode] += 1
                if is_deep(image):
                    deepest = max(deepest, largest_value(image))
        except UNREADABLE:
            unreadable.append(item.name)
    return Survey(
        sizes=sizes, modes=modes, deepest=deepest, unreadable=tuple(unreadable)
    )


def _opened(item: Encoded) -> BytesIO | str:
    """What Pillow reads a header from; of a local file it reads no more."""
    if item.image is None:
        raise ValueError("the row holds no image bytes")
    if isinstance(item.image, bytes):
        return BytesIO(item.image)
    if isinstance(item.image, Location) and item.image.is_local:
        return item.image.base
    return BytesIO(item.image.read_bytes())


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
