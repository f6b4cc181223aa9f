"""Old programs, unmodified: ``import tensorflow_hub`` means hubplug, and ``import tensorflow`` may mean TensorFlow 1's API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hubplug_compat._finder import install_as_tensorflow_hub as install_as_tensorflow_hub

__all__ = ["install_as_tensorflow_hub"]


def __getattr__(name: str) -> Any:
    if name == "install_as_tensorflow_hub":
        from hubplug_compat._finder import install_as_tensorflow_hub

        return install_as_tensorflow_hub
    said = f"module 'hubplug' has no attribute {name!r}"
    if name.startswith("_"):
        raise AttributeError(said)
    from hubplug_compat._names import OFFERED, instead_of

    if name in OFFERED:
        from hubplug_compat._standing_in import stand_in_for

        return stand_in_for(name)
    if name == "tools":
        said += f"; instead there is: {instead_of(name)}"
    raise AttributeError(said)
