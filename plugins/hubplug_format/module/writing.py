"""Writing modules in TF1 Hub format without TensorFlow."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hubplug.errors import ExportError
from hubplug_format.checkpoint.writer import write_checkpoint
from hubplug_format.module.assets import ASSETS_DIRECTORY
from hubplug_format.module.builder import ModuleBuilder
from hubplug_format.module.completeness import VARIABLES_PREFIX
from hubplug_format.module.module_def import MODULE_DEF_BYTES, MODULE_DEF_FILE
from hubplug_format.module.saved_model import SAVED_MODEL_FILE
from hubplug_format.protos.schema import message_class
from hubplug_format.protos.values import Values


def write_module(directory: str | os.PathLike[str], *builders: ModuleBuilder) -> None:
    """Writes a module in TF1 Hub format; ``tfhub_module.pb`` comes last.

    Args:
        directory: Made when it is not there; otherwise it must be empty.
        builders: One for each graph variant. A variable or asset that several of them have must be the same in all.

    Raises:
        ExportError: The directory holds something.
        ValueError: Variants contradict each other, or a value does not fit its dtype.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    if any(directory.iterdir()):
        raise ExportError(f"{directory} is not empty", hint="export into a new directory")
    variables: dict[str, Values] = {}
    assets: dict[str, bytes] = {}
    model = message_class("SavedModel")()
    for builder in builders:
        _merge(variables, builder.variables, "variable")
        _merge(assets, builder.assets, "asset")
        added = model.meta_graphs.add()
        added.CopyFrom(builder.meta_graph)
        ops = sorted(set(_op_types(added.graph_def)))
        for op in ops:
            added.meta_info_def.stripped_op_list.op.add(name=op)
    for name in (ASSETS_DIRECTORY, Path(VARIABLES_PREFIX).parent.name):
        (directory / name).mkdir()
    for filename, content in assets.items():
        path = directory / ASSETS_DIRECTORY / filename
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    if variables:
        write_checkpoint(directory / VARIABLES_PREFIX, variables)
    (directory / SAVED_MODEL_FILE).write_bytes(model.SerializeToString(deterministic=True))
    (directory / MODULE_DEF_FILE).write_bytes(MODULE_DEF_BYTES)


def _merge(known: dict[str, Any], added: Mapping[str, Any], what: str) -> None:
    for name, value in added.items():
        if known.setdefault(name, value) != value:
            raise ValueError(f"The graph variants have different values for the {what} {name!r}")


def _op_types(graph: Any) -> list[str]:
    functions = {function.signature.name for function in graph.library.function}
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    return [node.op for node in nodes if node.op not in functions]
