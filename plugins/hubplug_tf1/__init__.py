"""The plugin ``tf1``: modules in TF1 Hub format, read, written, defined and put into graphs.

``Tf1Format`` is the plugin. The names that programs use (``create_module_spec``, ...) are imported on first use, since
they need TensorFlow.
"""

from __future__ import annotations

import stat
from importlib import import_module
from typing import TYPE_CHECKING, Any

from hubplug.hookspecs import RunExport, hookimpl
from hubplug.spec import ExportRequest, ModuleSpec
from hubplug.types import Declined, LocalModule, Plan

if TYPE_CHECKING:
    from hubplug_tf1._application.eval_function import EvalFunction, eval_function_for_module  # noqa: F401
    from hubplug_tf1._columns.feature_columns import (  # noqa: F401
        image_embedding_column,
        sparse_text_embedding_column,
        text_embedding_column,
    )
    from hubplug_tf1._defining.authoring import add_signature, attach_message, create_module_spec  # noqa: F401
    from hubplug_tf1._defining.from_saved_model import create_module_spec_from_saved_model  # noqa: F401
    from hubplug_tf1._defining.image_info import (  # noqa: F401
        ImageModuleInfo,
        attach_image_module_info,
        get_expected_image_size,
        get_num_image_channels,
    )
    from hubplug_tf1._eager.loaded import load_object  # noqa: F401
    from hubplug_tf1._errors import ExportExistsError  # noqa: F401
    from hubplug_tf1._estimator.exporter import LatestModuleExporter, register_module_for_export  # noqa: F401

_MARKER = "tfhub_module.pb"

_HOMES = {
    "_ImageEmbeddingColumn": "_columns.feature_columns",
    "_SparseTextEmbeddingColumn": "_columns.feature_columns",
    "_TextEmbeddingColumn": "_columns.feature_columns",
    "EvalFunction": "_application.eval_function",
    "ImageModuleInfo": "_defining.image_info",
    "ExportExistsError": "_errors",
    "LatestModuleExporter": "_estimator.exporter",
    "add_signature": "_defining.authoring",
    "attach_image_module_info": "_defining.image_info",
    "attach_message": "_defining.authoring",
    "create_module_spec": "_defining.authoring",
    "create_module_spec_from_saved_model": "_defining.from_saved_model",
    "describe_tensor": "_graph.tensor_info",
    "eval_function_for_module": "_application.eval_function",
    "get_expected_image_size": "_defining.image_info",
    "get_num_image_channels": "_defining.image_info",
    "image_embedding_column": "_columns.feature_columns",
    "load_object": "_eager.loaded",
    "register_module_for_export": "_estimator.exporter",
    "sparse_text_embedding_column": "_columns.feature_columns",
    "text_embedding_column": "_columns.feature_columns",
}


class Tf1Format:
    """Reads and writes modules in TF1 Hub format."""

    def __init__(self, import_whole_graph: bool = False) -> None:
        """Takes the options.

        Args:
            import_whole_graph: Whether a Module and each application import all of a module's graph, as tensorflow_hub
                did, for programs that look up nodes which no output depends on. ``HUBPLUG_IMPORT_WHOLE_GRAPH=1`` does
                it too. Under eager execution there is no graph around a module, and neither does anything.
        """
        self._import_whole_graph = import_whole_graph

    @hookimpl
    def hubplug_load_format(self, module: LocalModule) -> ModuleSpec | Declined:
        """Reads a directory that has ``tfhub_module.pb``, but for the values of its variables.

        Raises:
            FormatError: It is damaged, or of a format that hubplug does not know.
        """
        try:
            marked = stat.S_ISREG((module.path / _MARKER).stat().st_mode)
        except OSError:
            marked = False
        if not marked:
            from hubplug_tf1._reading.refusals import decline

            return decline(module.path)
        from hubplug_tf1._reading.spec import GraphSpec

        return GraphSpec.load(module.path, import_whole_graph=self._import_whole_graph)

    @hookimpl
    def hubplug_export(self, request: ExportRequest) -> Plan[RunExport] | None:
        """Writes the definitions that this plugin reads or makes."""
        from hubplug_tf1._reading.spec import GraphSpec

        if not isinstance(request.spec, GraphSpec):
            return None
        from hubplug_tf1._exporting.export import plan_export

        return plan_export(request.spec, request)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
