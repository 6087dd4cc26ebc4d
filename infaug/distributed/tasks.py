"""What Ray tasks give back."""

from typing import TypeVar

import ray
from ray.exceptions import RayTaskError

Found = TypeVar("Found")

MAX_RETRIES = 3  # of a task whose worker died


def result(reference: "ray.ObjectRef[Found]") -> Found:
    """What a task found, once it is done.

    Raises:
        ValueError: the mistake that the task refused.
        RayTaskError: any other error in it.
    """
    try:
        return ray.get(reference)
    except RayTaskError as error:
        if isinstance(error.cause, ValueError):
            raise ValueError(str(error.cause)) from error
        raise
