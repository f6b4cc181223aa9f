"""hubplug: TensorFlow 1's ``hub.Module`` on today's TensorFlow, as a small plugin framework.

``import hubplug as hub`` takes the place of ``import tensorflow_hub as hub``. TensorFlow is imported by the first name
that needs it, not by this import.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hubplug import errors as errors
    from hubplug import types as types
    from hubplug.api import explain as explain
    from hubplug.api import load as load
    from hubplug.api import load_module_spec as load_module_spec
    from hubplug.api import resolve as resolve
    from hubplug.api import validate as validate
    from hubplug.hookspecs import hookimpl as hookimpl
    from hubplug.hub import Hub as Hub
    from hubplug.in_effect import current_hub as current_hub
    from hubplug.in_effect import hub_in_effect as hub_in_effect
    from hubplug.module import Module as Module
    from hubplug.spec import ModuleSpec as ModuleSpec
    from hubplug.urls import redact as redact
    from hubplug.urls import under_prefix as under_prefix

_HOMES = {
    "Hub": "hubplug.hub",
    "Module": "hubplug.module",
    "ModuleSpec": "hubplug.spec",
    "OldResolver": "hubplug_compat._old_resolver",
    "ExportRequest": "hubplug.spec",
    "explain": "hubplug.api",
    "current_hub": "hubplug.in_effect",
    "hookimpl": "hubplug.hookspecs",
    "hub_in_effect": "hubplug.in_effect",
    **dict.fromkeys(["KerasLayer", "text_embedding_column_v2"], "hubplug_keras"),
    "load": "hubplug.api",
    "load_module_spec": "hubplug.api",
    "redact": "hubplug.urls",
    "resolve": "hubplug.api",
    "under_prefix": "hubplug.urls",
    "validate": "hubplug.api",
    **dict.fromkeys(
        [
            "ArchiveStream",
            "AuthRequest",
            "Declined",
            "FileRecord",
            "Finding",
            "Handle",
            "LocalModule",
            "Plan",
            "Provenance",
            "SignatureInfo",
            "Source",
            "TensorInfo",
        ],
        "hubplug.types",
    ),
    "HubplugError": "hubplug.errors",
    **dict.fromkeys(
        [
            "EvalFunction",
            "ExportExistsError",
            "ImageModuleInfo",
            "LatestModuleExporter",
            "add_signature",
            "attach_image_module_info",
            "attach_message",
            "create_module_spec",
            "create_module_spec_from_saved_model",
            "eval_function_for_module",
            "get_expected_image_size",
            "get_num_image_channels",
            "image_embedding_column",
            "register_module_for_export",
            "sparse_text_embedding_column",
            "text_embedding_column",
        ],
        "hubplug_tf1",
    ),
    "install_as_tensorflow_hub": "hubplug_compat",
}

# `except hubplug.errors.MissingError` works without an import of its own.
_SUBMODULES = ("errors", "module", "types")

__all__ = sorted(_HOMES)

_UNLISTED = {
    "_TextEmbeddingColumnV2": "hubplug_keras",
    **dict.fromkeys(
        ["describe_tensor", "_ImageEmbeddingColumn", "_SparseTextEmbeddingColumn", "_TextEmbeddingColumn"],
        "hubplug_tf1",
    ),
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("hubplug")
    if name in _SUBMODULES:
        return import_module(f"hubplug.{name}")
    home = _HOMES.get(name) or _UNLISTED.get(name)
    if home is None:
        if name.startswith("_"):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        home = (
            "hubplug_compat"  # which has the submodules of tensorflow_hub that old programs reach through the package
        )
    from hubplug.errors import needs

    with needs("tensorflow", "tensorflow"):
        value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    from importlib.util import find_spec

    # help() and inspect.getmembers() get every name of this list.
    missing = (
        {name for name in _HOMES if _HOMES[name] in ("hubplug_tf1", "hubplug_keras")}
        if find_spec("tensorflow") is None
        else set()
    )
    return sorted({*globals(), *__all__, *_SUBMODULES, "__version__"} - missing)
