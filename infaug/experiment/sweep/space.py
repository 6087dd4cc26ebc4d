"""What is searched: a distribution for each setting, in Python or as text.

A search space maps names of settings (see `infaug.experiment.sweep.changes`) to
distributions:

    {"estimator.learning_rate": Between(1e-4, 1e-2, log=True),
     "transform.tau_size": Choice((16, 64))}

A distribution turns a number that is uniform in [0, 1) into a value, so whoever
proposes settings decides where chance comes from.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from infaug.config import require

DIGITS = 3  # that a drawn number keeps: a person reads and writes them


@dataclass(frozen=True)
class Between:
    """Uniform between two bounds, or uniform in the logarithm; `whole`: integers."""

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def __post_init__(self):
        require(self.low < self.high, "space", "must have low < high", str(self))
        positive = self.low > 0 or not self.log
        require(positive, "space", "must be > 0 to be logarithmic", str(self))

    def at(self, share: float) -> float | int:
        """The value below which `share` of the distribution lies.

        >>> Between(1e-4, 1e-2, log=True).at(0.5), Between(1, 4, whole=True).at(0.99)
        (0.001, 4)
        """
        low, high = self.low, self.high + self.whole
        if self.log:
            value = math.exp(math.log(low) + share * (math.log(high) - math.log(low)))
        else:
            value = low + share * (high - low)
        if self.whole:
            return min(math.floor(value), int(self.high))
        return min(max(float(f"{value:.{DIGITS}g}"), self.low), self.high)

    def place(self, value: Any) -> float:
        """Where a value lies between the bounds, 0 to 1, for a picture or a forest."""
        ends = (self.low, self.high, value)
        low, high, here = (math.log(x) for x in ends) if self.log else ends
        return (here - low) / (high - low)

    @property
    def ends(self) -> tuple[Any, Any]:
        """The least and the largest value."""
        return self.at(0.0), self.at(1.0)

    def __contains__(self, value: Any) -> bool:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return is_number and self.low <= value <= self.high

    def __str__(self) -> str:
        kind = ("log:" if self.log else "") + ("int:" if self.whole else "")
        return f"{kind}{self.low:g}..{self.high:g}"


@dataclass(frozen=True)
class Choice:
    """One of some values, each as likely; in an order, if they have one."""

    values: tuple[Any, ...]

    def __post_init__(self):
        require(len(self.values) >= 2, "space", "must offer two values", self.values)

    def at(self, share: float) -> Any:
        """The value at a share of the list."""
        return self.values[min(int(share * len(self.values)), len(self.values) - 1)]

    def place(self, value: Any) -> float:
        """Where a value stands in the list, 0 to 1; a stranger before all of them."""
        if value not in self.values:
            return -1 / (len(self.values) - 1)
        return self.values.index(value) / (len(self.values) - 1)

    @property
    def ends(self) -> tuple[Any, ...]:
        """All values."""
        return self.values

    def __contains__(self, value: Any) -> bool:
        return value in self.values

    def __str__(self) -> str:
        return ",".join(
            each if isinstance(each, str) else json.dumps(each) for each in self.values
        )


Distribution = Between | Choice
Space = Mapping[str, Distribution]


def parse_space(words: Sequence[str]) -> dict[str, Distribution]:
    """A space from `name=distribution` words.

    >>> space = parse_space(["influence.damping=log:1e-3..0.1", "mode=online,cvpr"])
    >>> {name: str(each) for name, each in space.items()}
    {'influence.damping': 'log:0.001..0.1', 'mode': 'online,cvpr'}

    Raises:
        ValueError: for a word that cannot be read.
    """
    space = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals:
            raise ValueError(
                f"--space {word!r}: give name=low..high, name=log:low..high, "
                "name=int:low..high or name=a,b,c"
            )
        space[name] = _parse(text, word)
    return space


def _parse(text: str, word: str) -> Distribution:
    if ".." not in text:
        return Choice(tuple(parse_value(each) for each in text.split(",")))
    *kinds, ends = text.split(":")
    low, _, high = ends.partition("..")
    try:
        if not {"log", "int"} >= set(kinds):
            raise ValueError(f"{':'.join(kinds)} is neither log nor int")
        return Between(float(low), float(high), "log" in kinds, "int" in kinds)
    except ValueError as error:
        raise ValueError(f"--space {word!r}: {error}") from error


def parse_value(text: str) -> Any:
    """A JSON value, or the word itself.

    >>> parse_value("64"), parse_value("crop_flip")
    (64, 'crop_flip')
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
