"""``KerasLayer`` and ``text_embedding_column_v2``: modules and SavedModels as layers of Keras 3 and of Keras 2.

Not a plugin that answers hooks: what a handle means is for ``hubplug.load`` to find. Keras and TensorFlow are imported by
the first name that needs them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hubplug_keras._columns import text_embedding_column_v2  # noqa: F401
    from hubplug_keras._generations import layer_class  # noqa: F401
    from hubplug_keras._layer import KerasLayer  # noqa: F401

_HOMES = {
    "KerasLayer": "_generations",
    "_TextEmbeddingColumnV2": "_columns",
    "layer_class": "_generations",
    "text_embedding_column_v2": "_columns",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
