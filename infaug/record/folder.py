"""The run folder: what lies in it, and whose it is.

RUN/asked.json             the config asked for
RUN/config.json            the same with every `auto` resolved
RUN/data.json              which images the run is about
RUN/trainings/NAME-seedK/  metrics, weights, result of a method, see TrainingFolder
RUN/trainings/generator-seedK/  the G fitted for this seed, and how far it reaches
RUN/tensorboard/           curves, a folder for each training
RUN/ledger/NAME-seedK/     what E did to images in each round (Parquet), docs/ledger.md
RUN/activations/           what frozen layers made of views; may be deleted
RUN/*.png                  views of images, and one image from tau to tau
RUN/influence-NAME-seedK.* predictions against refitting (json, png), ranking (parquet)
RUN/looks.json             light, contrast, colour of views, and whether they leave use
RUN/report.html            all of it on one page
RUN/unreadable.txt         images that were skipped, if any were
RUN/images.txt             what was skipped, renamed or changed as images were read
RUN/duplicates.jsonl       images that were in two splits, if any were: left out of one
RUN/seen.json              seeds it had when it was finished, before more were added
RUN/result.json            methods, verdict, seconds: a finished run has it

RUN may be a URL: the folder then lies on this machine and is copied there as it grows,
see `record.mirror`.
"""

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from infaug.config import RunConfig, difference, from_dict, to_dict
from infaug.lock import locked
from infaug.record.atomic import read_json, write_bytes, write_json, writing
from infaug.record.journal import read_lines
from infaug.record.mirror import BUSY, UNSHARED, Mirror
from infaug.record.training_folder import TrainingFolder, lines_of
from infaug.storage import is_url

LOOKS_FILE = "looks.json"
SEEN_FILE = "seen.json"


class RunFolder:
    """Paths of a run, and the rules for entering and leaving it."""

    def __init__(self, place: Path | str):
        self.mirror = Mirror(str(place)) if is_url(str(place)) else None
        self.path = self.mirror.folder if self.mirror else Path(place)
        self.place = self.mirror.home.url if self.mirror else str(self.path)

    def __str__(self) -> str:
        return str(self.mirror.home if self.mirror else self.path)

    def enter(self, requested: RunConfig) -> None:
        """Begin a run here, or check that it is this very run that began here.

        Raises:
            ValueError: if the folder cannot be written, holds something else, or a
                run with other settings, or its URL cannot be reached.
        """
        self.bring()
        with writing(f"the run folder {self.path}", "choose another --out"):
            self.path.mkdir(parents=True, exist_ok=True)
            held = sorted(p.name for p in self.path.iterdir() if p.name not in UNSHARED)
            if not held or "asked.json" in held:  # else it is another's
                (self.path / "lock").touch()
        if not held:
            write_json(self.path / "asked.json", to_dict(requested))
        elif "asked.json" not in held:
            raise ValueError(
                f"{self.path} holds {held[0]!r} and no run of infaug: nothing was "
                "touched, choose an empty or new folder for --out"
            )
        elif not (self._begins_anew(requested) or self.lacks_seeds(requested)):
            remedy = "use those settings to continue it"
            self._must_equal("asked.json", requested, remedy)

    def bring(self, wait_s: float = 0.0) -> "RunFolder":
        """The same, the folder on this machine as it is at the URL, if it has one.

        Raises:
            ValueError: if that cannot be reached, or another process is running in it,
                also after `wait_s`.
        """
        if self.mirror:
            self.mirror.bring(wait_s)
        return self

    def _begins_anew(self, requested: RunConfig) -> bool:
        """Whether what began here ended before it trained, as by a broken image.

        Its settings then give way to those asked for now.
        """
        if self.is_resolved or not difference(self.config("asked.json"), requested):
            return False
        try:
            with locked(self.path / "lock", "it is at work"):
                write_json(self.path / "asked.json", to_dict(requested))
        except ValueError:
            return False
        return True

    def lacks_seeds(self, requested: RunConfig) -> bool:
        """Whether what is asked for is this very run with more seeds."""
        return _is_less(self.config("asked.json"), requested)

    @property
    def is_resolved(self) -> bool:
        """Whether a run has begun here and its `auto` settings are decided."""
        return (self.path / "config.json").exists()

    def resolve(self, resolved: RunConfig) -> None:
        """Keep the resolved config, or check that it is the one the run began with.

        More seeds are as good, and so are images that have moved.

        Raises:
            ValueError: if other data or hardware resolve it differently, or the folder
                cannot be written.
        """
        if not self.is_resolved:
            self._write("config.json", to_dict(resolved))
            return
        began, requested = self.config(), self.config("asked.json")
        if _is_less(began, resolved):
            self._unfinish(began.seeds)
            requested = replace(requested, seeds=resolved.seeds)
        else:
            remedy = "continue it on such data and hardware, or set these explicitly"
            self._must_equal("config.json", resolved, remedy)
        if began != resolved:
            self._write("asked.json", to_dict(requested.placed_as(resolved)))
            self._write("config.json", to_dict(resolved))

    def _unfinish(self, seeds: int) -> None:
        """Make it a run that lacks a result; it began with so many seeds."""
        if self.result() is not None:
            self._write(SEEN_FILE, [*self.seen_with(), seeds])
        with writing(self.path):
            for name in ("result.json", LOOKS_FILE, "report.html"):
                (self.path / name).unlink(missing_ok=True)

    def seen_with(self) -> list[int]:
        """How many seeds it had each time it was finished before."""
        return read_json(self.path / SEEN_FILE) or []

    def match_data(self, found: Mapping[str, Any]) -> None:
        """Keep what the images are, or check that they are those the run began with.

        Raises:
            ValueError: if they have changed since, or the folder cannot be written.
        """
        began = read_json(self.path / "data.json")
        if began is None or not self.is_resolved:
            self._write("data.json", dict(found))
            return
        if changed := [
            f"{key}: {_brief(began.get(key))} -> {_brief(found.get(key))}"
            for key in (began | dict(found))
            if began.get(key) != found.get(key)
        ]:
            raise ValueError(
                f"{self} holds a run on other images ({'; '.join(changed)}): "
                "bring them back to continue it, or use another --out"
            )

    def keep_lines(self, name: str, lines: Sequence[str]) -> None:
        """Keep a list of what was skipped, changed or left out, if anything was."""
        if lines:
            text = "".join(f"{line}\n" for line in lines)
            with writing(self.path):
                write_bytes(self.path / name, text.encode())

    def _write(self, name: str, value: Any) -> None:
        with writing(self.path):
            write_json(self.path / name, value)

    def _must_equal(self, name: str, config: RunConfig, remedy: str) -> None:
        if changes := difference(self.config(name).placed_as(config), config):
            raise ValueError(
                f"{self} holds a run with other settings "
                f"({'; '.join(changes)}): {remedy}, or use another --out"
            )

    @contextlib.contextmanager
    def locked(self, wait_s: float = 0.0) -> Iterator[None]:
        """Keep other processes out while this one writes, of this machine or of all.

        Raises:
            ValueError: if another run is writing here.
        """
        others = self.mirror.held(wait_s) if self.mirror else contextlib.nullcontext()
        with locked(self.path / "lock", BUSY.format(self.path), wait_s), others:
            yield

    def config(self, name: str = "config.json") -> RunConfig:
        """The resolved config of the run, or `asked.json`, the one asked for.

        Raises:
            ValueError: if the file is missing or not one of infaug's, or the run is of
                another version.
        """
        path = self.path / name
        if not path.exists():
            raise ValueError(
                f"{self} is no run of infaug, as it has no {name}: give the "
                "--out of an `infaug fit`"
            )
        try:
            values = json.loads(path.read_text())
            starts = next(self.path.glob("trainings/*/starts.jsonl"), None)
            # Every file of such a run names methods otherwise.
            if starts and any("row" in line for line in read_lines(starts)):
                raise ValueError(f"{starts.name} says row for method")
            return from_dict(RunConfig, values)
        except (OSError, json.JSONDecodeError, TypeError, AttributeError) as error:
            raise ValueError(f"{path} is no config of infaug: {error}") from error
        except ValueError as error:
            raise ValueError(
                f"{self} is of another version of infaug ({error}): read it with the "
                "version that wrote it, or train again with a new --out"
            ) from error

    def training(self, method: str, seed: int) -> TrainingFolder:
        """The folder of one training."""
        push = self.mirror.push if self.mirror else None
        return TrainingFolder(self.path, method, seed, push)

    def training_result(self, method: str, seed: int) -> dict[str, Any] | None:
        """What a training found, or None while it is not finished."""
        return self.training(method, seed).result()

    def found(self, method: str, seed: int) -> dict[str, Any]:
        """What a finished training found."""
        result = self.training_result(method, seed)
        assert result is not None, f"{method} seed {seed} is finished by now"
        return result

    def weights(self, method: str, seed: int, part: str) -> dict[str, Tensor]:
        """What a finished training kept as `part`."""
        return self.training(method, seed).weights(part)

    def lines(self, name: str) -> list[dict[str, Any]]:
        """See `training_folder.lines_of`."""
        return lines_of(self.path, name)

    @property
    def has_trained(self) -> bool:
        """Whether a training began here."""
        return any(self.path.glob("trainings/*/*"))

    def result(self) -> dict[str, Any] | None:
        """The run's result, or None while it is not finished."""
        return read_json(self.path / "result.json")

    def result_of(self, requested: RunConfig) -> dict[str, Any] | None:
        """The result of what is asked for; None while seeds are lacking.

        Also for images elsewhere, until `match_data` has seen that it is they.
        """
        began = self.config("asked.json")
        has_moved = began.placed_as(requested) != began
        return None if has_moved or self.lacks_seeds(requested) else self.result()

    def finish(self, result: dict[str, Any]) -> None:
        """Write the result, which marks the experiment finished.

        Raises:
            ValueError: if the folder cannot be written.
        """
        self._write("result.json", result)
        if self.mirror:
            self.mirror.push()


@contextlib.contextmanager
def local_copy(place: Path | str) -> Iterator[Path]:
    """A run's folder on this machine; what is added to it is kept at its URL too.

    Raises:
        ValueError: if it is kept at a URL that cannot be reached.
    """
    folder = RunFolder(place).bring()
    yield folder.path
    if folder.mirror:
        folder.mirror.push()


def _is_less(began: RunConfig, config: RunConfig) -> bool:
    """Whether two configs are alike but for more seeds in the second."""
    as_many = replace(began.placed_as(config), seeds=config.seeds)
    return began.seeds < config.seeds and not difference(as_many, config)


def _brief(value: Any) -> str:
    """A value in a message; of many classes, their number."""
    if isinstance(value, list) and len(value) > 5:
        return f"{len(value)}, from {value[0]} to {value[-1]}"
    return str(value)
