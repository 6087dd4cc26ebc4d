"""infaug: learn how to augment images, judged by an influence function."""

__version__ = "0.1.0"
