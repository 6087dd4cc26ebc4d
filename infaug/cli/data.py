"""`infaug data`: images to Parquet."""

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, get_args

import tyro

from infaug.cli.terminal import Output, show
from infaug.config import Downloadable, PrepareConfig
from infaug.words import plural, were


@dataclass(frozen=True, kw_only=True)
class Prepare(Output):
    """Write images as Parquet that `infaug fit --data FOLDER` reads.

    A source in class folders is written in shards, in a fixed random order, each image
    decoded once to see that it is whole. The same command again continues where it was
    stopped. mnist, cifar10 and cifar100 are downloaded through torchvision; pacs, from
    the Hugging Face Hub, gets a file for each domain and one with 12 images a class.
    """

    source: tyro.conf.Positional[str]
    """Folder or plain tar with class/name.jpg, or with train/ and test/ or val/ above;
    ImageNet's tar of tars; or mnist, cifar10, cifar100, pacs."""
    out: tyro.conf.Positional[Path]
    """Folder for the Parquet files: new, empty, or begun by this very command."""
    test: Path | None = None
    """Source of the test split, if the other has none: a folder or tar with the same
    classes."""
    workers: int = 0
    """Shards written side by side by Ray tasks; 0 writes in this process without Ray.
    Makes no difference to the files."""
    downloads: Path = Path("downloads")
    """Where what is downloaded is kept."""
    config: Annotated[PrepareConfig, tyro.conf.arg(name="")] = field(
        default_factory=PrepareConfig
    )


def prepare(args: Prepare) -> int:
    """`infaug data prepare`."""
    standard = next((n for n in get_args(Downloadable) if n == args.source), None)
    show(args, *(_download(args, standard) if standard else _prepare(args)))
    return 0


def _download(args: Prepare, name: Downloadable) -> tuple[list[str], dict[str, object]]:
    from infaug.data.download import download

    if args.test or args.workers or args.config != PrepareConfig():
        raise ValueError(
            f"{name} is downloaded and written as it is: leave out --test, --workers "
            f"and the settings of shards, or give ./{name} if you mean a folder"
        )
    files = [str(file) for file in download(name, args.out, args.downloads)]
    return [f"wrote {', '.join(files)}"], {"out": str(args.out), "files": files}


def _prepare(args: Prepare) -> tuple[list[str], dict[str, object]]:
    from contextlib import closing

    from infaug.data import prepare as data
    from infaug.record.display import ImageCount

    if args.workers < 0:
        raise ValueError(f"--workers must be >= 0, got {args.workers}")
    write = data.write_here
    if args.workers:
        from infaug.distributed.tasks import write_on_ray  # imports ray

        write = partial(write_on_ray, at_a_time=args.workers)
    with closing(ImageCount(shown=args.is_for_people)) as progress:
        found = data.prepare(
            Path(args.source).expanduser(),
            args.out.expanduser(),
            args.config,
            test=args.test.expanduser() if args.test else None,
            write=write,
            begin=progress.begin,
        )
    images = " and ".join(f"{n:,} {split}" for split, n in found.images.items())
    lines = [
        f"{args.out}: {images} images of {plural(found.num_classes, 'class')}, "
        f"{plural(found.num_shards, 'shard')}, {found.num_bytes:,} bytes, "
        f"{found.seconds:.1f} s"
    ]
    if num := len(found.unreadable):
        lines.append(
            f"{plural(num, 'unreadable image')} {were(num)} left out: "
            f"{args.out}/unreadable.jsonl"
        )
    about: dict[str, object] = {
        "out": str(args.out),
        "images": found.images,
        "classes": found.num_classes,
        "shards": found.num_shards,
        "bytes": found.num_bytes,
        "seconds": found.seconds,
        "unreadable": len(found.unreadable),
        "notes": list(found.notes),
    }
    return [*lines, *found.notes], about
