"""How many of something: at least, at most."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Span:
    """MIN..MAX of something; MIN is needed, more is welcome."""

    least: int = 0
    most: int = 0

    @classmethod
    def parse(cls, text: str, flag: str) -> "Span":
        """From `2..4` or `2`.

        Raises:
            ValueError: if it is no span; `flag` says whose.

        >>> Span.parse("2..4", "--workers")
        Span(least=2, most=4)
        """
        least, _, most = text.partition("..")
        try:
            found = cls(least=int(least), most=int(most or least))
        except ValueError as error:
            raise ValueError(f"{flag} must be N or MIN..MAX, got {text!r}") from error
        if not (0 < found.least <= found.most or found == cls()):
            raise ValueError(f"{flag} must be 0 or have 1 <= MIN <= MAX, got {text!r}")
        return found

    @classmethod
    def of(cls, count: int) -> "Span":
        """Neither fewer nor more."""
        return cls(least=count, most=count)

    @property
    def is_one(self) -> bool:
        """Whether there is nothing to choose."""
        return self.least == self.most

    def __str__(self) -> str:
        return str(self.most) if self.is_one else f"{self.least}..{self.most}"
