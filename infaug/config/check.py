"""The one way a setting is refused."""


def require(holds: bool, name: str, rule: str, value: object) -> None:
    """Raise a ValueError that names the setting, its rule and its value."""
    if not holds:
        raise ValueError(f"{name} {rule}, got {value!r}")
