"""A folder or tar of images to Parquet shards: parallel, continued, checked.

FOLDER/train-00000.parquet ...   and test-00000.parquet ..., as `load` reads them
FOLDER/plan.json                 what it is prepared from; see `data.plan`
FOLDER/unreadable.jsonl          images that were left out, if any were
"""

import contextlib
import json
import time
import warnings
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from infaug.config import PrepareConfig
from infaug.data.plan import (
    Listing,
    check_folder,
    describe,
    list_source,
    plan_shards,
    write_plan,
)
from infaug.data.shard_file import (
    Shard,
    Written,
    read_back,
    remove_unfinished,
    whole_file,
    write_shard,
)
from infaug.lock import locked
from infaug.words import are, plural

UNREADABLE_LIST = "unreadable.jsonl"
Note = Callable[[int], None]
# Writes shards to a folder, in any order, and reports how many images are done.
Writer = Callable[[Sequence[Shard], Path, Note], Generator[Written, None, None]]
# Receives how many images there are, and how many of them were done before.
Begin = Callable[[int, int], Note]


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What came of it."""

    images: dict[str, int]
    """Rows by split."""
    num_classes: int
    num_shards: int
    num_bytes: int
    unreadable: tuple[tuple[str, str], ...]
    """Files that were left out, with the reason."""
    notes: tuple[str, ...]
    """What was skipped or renamed, for people."""
    seconds: float


def write_here(
    shards: Sequence[Shard], folder: Path, note: Note
) -> Generator[Written, None, None]:
    """Write shards in this process, one after another."""
    for shard in shards:
        yield write_shard(shard, folder, note)


def prepare(
    source: Path,
    out: Path,
    config: PrepareConfig,
    *,
    test: Path | None = None,
    write: Writer = write_here,
    begin: Begin = lambda total, done: lambda count: None,
) -> Prepared:
    """Write the shards of a source that are not there yet.

    A killed call leaves whole shards only; the same call goes on from them, and the
    files come out the same, whoever writes them.

    Args:
        source: a folder, tar or table; see `data.listing`.
        out: folder for the result, new, empty or begun by this very call.
        config: size of images and shards, and how many may be unreadable.
        test: source of the test split, if `source` has none.
        write: who writes the shards.
        begin: of what shows how far it is.

    Raises:
        ValueError: for a source or folder that cannot work, storage that fails, and
            more unreadable images than `config` allows.
    """
    began = time.perf_counter()
    _refuse_overlap(out, source, test)
    listing = list_source(source, test)
    shards = plan_shards(listing, config)
    plan = describe(source, listing, config, shards)
    check_folder(out, plan)
    with _entered(out):
        write_plan(out, plan)
        written = _complete(shards, out, listing, config, write, begin)
    unreadable = _in_order(shards, written)
    return Prepared(
        images={
            split: sum(w.rows for w in written.values() if w.file.startswith(split))
            for split in listing.splits
        },
        num_classes=len(listing.class_names),
        num_shards=len(shards),
        num_bytes=sum(each.num_bytes for each in written.values()),
        unreadable=unreadable,
        notes=listing.notes,
        seconds=time.perf_counter() - began,
    )


def _complete(
    shards: Sequence[Shard],
    out: Path,
    listing: Listing,
    config: PrepareConfig,
    write: Writer,
    begin: Begin,
) -> dict[str, Written]:
    """Write what is missing; what every shard came to."""
    written = _already(shards, out)
    missing = [shard for shard in shards if shard.file not in written]
    total, left = (sum(len(s.images) for s in each) for each in (shards, missing))
    note = begin(total, total - left)
    max_bad = config.max_bad(listing.num_images)
    _check_bad(_in_order(shards, written), max_bad, out)
    with contextlib.closing(write(missing, out, note)) as writing:
        for each in writing:
            written[each.file] = each
            if each.unreadable:
                _check_bad(_in_order(shards, written), max_bad, out)
    return written


def _already(shards: Sequence[Shard], out: Path) -> dict[str, Written]:
    written = {}
    for shard in shards:
        path = out / shard.file
        if not path.exists():
            continue
        if (found := read_back(shard, path)) is not None:
            written[shard.file] = found
        else:
            warnings.warn(f"{path} is damaged and is written again", stacklevel=4)
    return written


def _check_bad(unreadable: Sequence[tuple[str, str]], max_bad: int, out: Path) -> None:
    """Keep the list of unreadable images; refuse too many.

    What is written by then is kept, so that the remedy costs no work twice.
    """
    if not unreadable:
        return
    path = out / UNREADABLE_LIST
    lines = [json.dumps({"file": file, "reason": why}) for file, why in unreadable]
    with whole_file(path) as unfinished:
        unfinished.write_text("".join(line + "\n" for line in lines))
    if len(unreadable) > max_bad:
        first = "; ".join(f"{file} ({why})" for file, why in unreadable[:3])
        raise ValueError(
            f"{plural(len(unreadable), 'image')} so far cannot be read, {max_bad} "
            f"{are(max_bad)} allowed: {first}"
            f"{'; ...' if len(unreadable) > 3 else ''}. {path} lists them: fix them "
            "and prepare into a new folder, or leave them out with --max-bad-images "
            f"{len(unreadable)} or more; the same command then continues"
        )


def _in_order(
    shards: Iterable[Shard], written: dict[str, Written]
) -> tuple[tuple[str, str], ...]:
    """Unreadable images in the order of the plan, whoever wrote them first."""
    done = (written[shard.file] for shard in shards if shard.file in written)
    return tuple(bad for each in done for bad in each.unreadable)


def _refuse_overlap(out: Path, *sources: Path | None) -> None:
    for source in filter(None, sources):
        if out.resolve().is_relative_to(source.resolve()):
            raise ValueError(
                f"{out} is {source} or lies in it: give a folder outside of the source"
            )


@contextlib.contextmanager
def _entered(out: Path) -> Generator[None, None, None]:
    """Alone in the folder, and nothing unfinished left in it."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / ".lock").touch()
    except OSError as error:
        raise ValueError(
            f"{out} cannot be written ({error.strerror}): choose another folder"
        ) from error
    with locked(out / ".lock", f"another process is preparing {out}: wait for it"):
        remove_unfinished(out)
        try:
            yield
        finally:
            remove_unfinished(out)
