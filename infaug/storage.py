"""Files by a user's text: a local path, or a URL of an object store.

`s3://` and `gs://` go through pyarrow, whose wheel brings both; any other URL is one of
fsspec's (`memory://`, `file://`, `abfs://`, ...). Credentials come from the environment
as usual. Options of pyarrow follow a question mark:
`s3://bucket/set?endpoint_override=localhost:9000&scheme=http`. An address nobody
answers at is given up within half a minute, most within seconds.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pyarrow as pa
from pyarrow import fs

CONNECT_S = 5.0
SILENT_S = 5.0  # a transfer that does not move at all for so long has failed
TRIES = 3
GCS_RETRIES_S = 5.0
S3_OPTIONS = ("endpoint_override", "region", "scheme")
GCS_OPTIONS = ("endpoint_override", "project_id", "scheme")


def is_url(text: str) -> bool:
    """Whether a text names an object store, not a local path."""
    return "://" in text


def location(text: str) -> "Location":
    """What a user's text names.

    >>> location("s3://bucket/set/?region=eu-west-1") / "train.parquet"
    Location(base='s3://bucket/set/train.parquet', query='region=eu-west-1')
    """
    if not is_url(text):
        return Location(str(Path(text).expanduser()))
    base, _, query = text.partition("?")
    return Location(base.rstrip("/"), query)


@dataclass(frozen=True, order=True)
class Location:
    """A file or folder that may not exist; only its text travels between processes."""

    base: str
    query: str = ""

    def __str__(self) -> str:
        return self.base

    def __truediv__(self, name: str) -> "Location":
        return Location(f"{self.base.rstrip('/')}/{name}", self.query)

    @property
    def url(self) -> str:
        """The whole text, with its options."""
        return f"{self.base}?{self.query}" if self.query else self.base

    @property
    def is_local(self) -> bool:
        """Whether it is a path of this machine."""
        return not is_url(self.base)

    @property
    def absolute(self) -> str:
        """Where it is looked for, in words."""
        return str(Path(self.base).absolute()) if self.is_local else self.base

    @property
    def fixed(self) -> "Location":
        """The same for a process that works in another folder."""
        return Location(self.absolute, self.query)

    @property
    def name(self) -> str:
        """The last part."""
        return self.base.rpartition("/")[2]

    @property
    def parent(self) -> "Location":
        """The folder it lies in."""
        above = self.base.rpartition("/")[0]
        top = "/" if self.base.startswith("/") else "."
        return Location(above or top, self.query)

    @property
    def opened(self) -> tuple[fs.FileSystem, str]:
        """The file system and the path in it, as pyarrow takes them."""
        if self.is_local:
            return _local(), self.base
        scheme, _, path = self.base.partition("://")
        bucket = path.partition("/")[0]
        with reaching(self):
            if scheme == "file":
                return _local(), path
            if scheme == "s3":
                return _s3(bucket, self.query), path
            if scheme in ("gs", "gcs"):
                return _gcs(bucket, self.query), path.removeprefix("anonymous@")
            return _fsspec(self.url)

    def is_file(self) -> bool:
        """Whether a file is there."""
        return self._info().type == fs.FileType.File

    def is_dir(self) -> bool:
        """Whether a folder is there, which of an object store is a prefix."""
        return self._info().type == fs.FileType.Directory

    def exists(self) -> bool:
        """Whether a file or folder is there."""
        return self._info().type != fs.FileType.NotFound

    @property
    def stamp(self) -> str:
        """Of a file; another one once the file is written anew."""
        info = self._info()
        return f"{info.size} {info.mtime_ns}"

    def _info(self) -> fs.FileInfo:
        system, path = self.opened
        with reaching(self):
            return system.get_file_info(path)

    def names_below(self) -> list[str]:
        """Names of all files below this folder, relative to it, in order."""
        system, path = self.opened
        with reaching(self):
            found = system.get_file_info(
                fs.FileSelector(path, allow_not_found=True, recursive=True)
            )
        start = len(path.strip("/")) + 1
        files = [info for info in found if info.type == fs.FileType.File]
        return sorted(info.path.strip("/")[start:] for info in files)

    def read_bytes(self) -> bytes:
        """What a file holds."""
        if self.is_local and not Path(self.base).exists():
            raise ValueError(f"{self} is not there: looked for {self.absolute}")
        system, path = self.opened
        with reaching(self), system.open_input_stream(path) as file:
            return file.read()


@contextmanager
def reaching(place: object) -> Iterator[None]:
    """Report what goes wrong in storage with the address and a remedy."""
    try:
        yield
    except (OSError, pa.ArrowException, ImportError) as error:
        raise ValueError(
            f"{place} cannot be reached or read ({cause(error)}): see that address, "
            "network and credentials are right, then give the same command again"
        ) from error


def cause(error: Exception) -> str:
    """The first words of what a library said; S3's has pages."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 300 else text[:300] + "..."


@lru_cache
def _local() -> fs.FileSystem:
    return fs.LocalFileSystem()


@lru_cache
def _s3(bucket: str, query: str) -> fs.FileSystem:
    if "@" in bucket:
        raise ValueError(
            "s3:// takes no credentials in the address: set AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY, or use a profile or the machine's role"
        )
    options = _options("s3", query, S3_OPTIONS)
    set_by_hand = ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL")
    if not options and not any(os.environ.get(name) for name in set_by_hand):
        options["region"] = fs.resolve_s3_region(bucket)
    return fs.S3FileSystem(
        connect_timeout=CONNECT_S,
        request_timeout=SILENT_S,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=TRIES),
        **options,
    )


@lru_cache
def _gcs(bucket: str, query: str) -> fs.FileSystem:
    return fs.GcsFileSystem(
        anonymous=bucket.startswith("anonymous@"),
        retry_time_limit=timedelta(seconds=GCS_RETRIES_S),
        **_options("gs", query, GCS_OPTIONS),
    )


def _options(scheme: str, query: str, known: tuple[str, ...]) -> dict[str, Any]:
    options = dict(parse_qsl(query, keep_blank_values=True))
    if unknown := sorted(set(options) - set(known)):
        raise ValueError(
            f"{scheme}:// has no option {unknown[0]!r}: after the question mark it "
            f"takes {', '.join(known)}"
        )
    return options


@lru_cache
def _fsspec(url: str) -> tuple[fs.FileSystem, str]:
    from fsspec.core import url_to_fs  # a dependency of torch

    try:
        system, path = url_to_fs(url)
    except ValueError as error:
        raise ValueError(f"{url} is no address infaug can read: {error}") from error
    return fs.PyFileSystem(fs.FSSpecHandler(system)), str(path)
