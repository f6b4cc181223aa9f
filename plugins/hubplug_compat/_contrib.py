"""What is left of ``tf.contrib``, which ended with TensorFlow 1.15."""

from __future__ import annotations

from importlib.machinery import ModuleSpec as ImportSpec


def find_contrib(fullname: str) -> ImportSpec:
    """The way to a part of ``tf.contrib``.

    Raises:
        ModuleNotFoundError: There is no such part any more.
    """
    raise ModuleNotFoundError(
        f"{fullname} ended with TensorFlow 1.15; what the program uses of it has to be replaced", name=fullname
    )
