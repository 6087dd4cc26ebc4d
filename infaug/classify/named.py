"""A network by name: `py:package.module:function`, code of the user's.

It is imported only where the command names it.
"""

import importlib
import os
import re

from torch import nn

from infaug.config import NETWORK_VARIABLE


def name_network(network: str | None) -> None:
    """Allow the import of a `py:` network: the command names it.

    Raises:
        ValueError: for a name of another form.
    """
    if network is None:
        return
    if not re.fullmatch(r"py:[\w.]+:\w+", network):
        raise ValueError(f"--network must be py:package.module:function, got {network}")
    os.environ[NETWORK_VARIABLE] = network


def named_network() -> str | None:
    """The `py:` network that the command names."""
    return os.environ.get(NETWORK_VARIABLE)


def import_network(network: str, num_classes: int) -> nn.Module:
    """What the function returns.

    Raises:
        ValueError: if the command does not name it, or it makes no network.
    """
    if network != named_network():
        raise ValueError(
            f"the classifier is {network}, code that is not infaug's and is imported "
            f"only where the command names it: add --network {network}"
        )
    _, module, name = network.split(":")
    try:
        model = getattr(importlib.import_module(module), name)(num_classes=num_classes)
    except (ImportError, AttributeError, TypeError) as error:
        raise ValueError(
            f"{network} cannot be called ({error}): it is imported with Python's "
            f"usual path and called as {name}(num_classes={num_classes})"
        ) from error
    if not isinstance(model, nn.Module):
        raise ValueError(f"{network} returns {type(model).__name__}, no nn.Module")
    return model
