"""Which graph collections a module may have: those that the format gives a meaning."""

from __future__ import annotations

from collections.abc import Iterable

from hubplug_format import ASSETS_COLLECTION, ATTACHMENTS_COLLECTION

ASSET_FILEPATHS = "asset_filepaths"
_SHOWN = 20

SUPPORTED = frozenset(
    {
        "variables",
        "trainable_variables",
        "model_variables",
        "table_initializer",
        "update_ops",
        "regularization_losses",
        ASSET_FILEPATHS,
        "cond_context",
        "while_context",
        ATTACHMENTS_COLLECTION,
        ASSETS_COLLECTION,
    }
)


def find_collections_error(names: Iterable[str]) -> str | None:
    """Says so if there are collections that no module may have; None if all are fine."""
    unknown = sorted(set(names) - SUPPORTED)
    more = f" and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else ""
    return f"Unsupported collections in graph: {[name[:200] for name in unknown[:_SHOWN]]}{more}" if unknown else None
