"""Counts and sizes as a person would say them."""


def plural(count: int, word: str) -> str:
    """A count and its word.

    >>> plural(1, "seed"), plural(3000, "class")
    ('1 seed', '3,000 classes')
    """
    ending = "es" if word.endswith(("s", "sh", "ch", "x")) else "s"
    return f"{count:,} {word}" + ("" if count == 1 else ending)


def are(count: int) -> str:
    """The verb after a count: `is` or `are`."""
    return "is" if count == 1 else "are"


def were(count: int) -> str:
    """The verb after a count: `was` or `were`."""
    return "was" if count == 1 else "were"


def memory(gib: float) -> str:
    """Memory in GiB; less than one in MiB, so that little is not none.

    >>> memory(1.25), memory(0.03), memory(0.0004)
    ('1.25 GiB', '31 MiB', '0.41 MiB')
    """
    if gib >= 1:
        return f"{gib:,.2f} GiB"
    mib = 1024 * gib
    return f"{mib:.0f} MiB" if mib >= 10 else f"{mib:.2g} MiB"
