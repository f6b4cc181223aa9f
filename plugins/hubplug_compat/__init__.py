"""Old programs, unmodified: ``import tensorflow_hub`` means hubplug, and ``import tensorflow`` may mean TensorFlow 1's API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hubplug_compat._standing_in import install_as_tensorflow_hub as install_as_tensorflow_hub

__all__ = ["install_as_tensorflow_hub"]


def __getattr__(name: str) -> Any:
    if name == "install_as_tensorflow_hub":
        from hubplug_compat._standing_in import install_as_tensorflow_hub

        return install_as_tensorflow_hub
    if not name.startswith("_"):
        from hubplug_compat._standing_in import stand_in_for

        try:
            return stand_in_for(name)
        except KeyError:
            pass
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
