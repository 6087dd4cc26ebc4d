"""How many of something: a minimum and a maximum."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class CountRange:
    """MIN..MAX of something; MIN is needed, more is welcome."""

    min: int = 0
    max: int = 0

    @classmethod
    def parse(cls, text: str, flag: str) -> "CountRange":
        """From `2..4` or `2`.

        >>> CountRange.parse("2..4", "--workers")
        CountRange(min=2, max=4)

        Raises:
            ValueError: if it is no range; `flag` says whose.
        """
        low, _, high = text.partition("..")
        try:
            found = cls(min=int(low), max=int(high or low))
        except ValueError as error:
            raise ValueError(f"{flag} must be N or MIN..MAX, got {text!r}") from error
        if not (0 < found.min <= found.max or found == cls()):
            raise ValueError(f"{flag} must be 0 or have 1 <= MIN <= MAX, got {text!r}")
        return found

    @property
    def is_one(self) -> bool:
        """Whether there is nothing to choose."""
        return self.min == self.max

    def __str__(self) -> str:
        return str(self.max) if self.is_one else f"{self.min}..{self.max}"
