"""Who decodes the images of a stream, while training goes on."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol, runtime_checkable

from infaug.cores import usable_cores
from infaug.data.crops import Crop
from infaug.data.lanes import Window
from infaug.data.reader import EncodedPiece, Piece, Reader

AHEAD = 8  # pieces in memory for each thread


@runtime_checkable
class Feed(Protocol):
    """Decodes windows ahead of need, and gives their pieces in order."""

    def __call__(
        self, reader: Reader, windows: Iterable[Window], crops: tuple[Crop, ...]
    ) -> Iterator[Piece]:
        """Pieces without end, if `windows` has none; closed when no more is wanted."""
        ...


class Threads:
    """Threads of this process: decoding leaves Python's lock alone.

    Args:
        num: threads; by default as many as there are CPUs for this process.
    """

    def __init__(self, num: int | None = None):
        self.num = num or usable_cores()

    def __call__(
        self, reader: Reader, windows: Iterable[Window], crops: tuple[Crop, ...]
    ) -> Iterator[Piece]:
        """What `Feed` says."""
        ahead: deque[Future[Piece]] = deque()
        with ThreadPoolExecutor(self.num, "decode") as pool:
            try:
                for read in _one_ahead(pool, reader, windows, len(crops)):
                    for encoded in read:
                        ahead.append(pool.submit(reader.decode, encoded, crops))
                        if len(ahead) >= AHEAD * self.num:
                            yield ahead.popleft().result()
                while ahead:
                    yield ahead.popleft().result()
            finally:
                for future in ahead:
                    future.cancel()


def _one_ahead(
    pool: ThreadPoolExecutor, reader: Reader, windows: Iterable[Window], num_crops: int
) -> Iterator[list[EncodedPiece]]:
    """Windows as they are read from their files, the next one meanwhile."""
    reading: Future[list[EncodedPiece]] | None = None
    for window in windows:
        following = pool.submit(reader.read, window, num_crops)
        if reading is not None:
            yield reading.result()
        reading = following
    if reading is not None:
        yield reading.result()
