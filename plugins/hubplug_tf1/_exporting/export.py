"""Writes a module directory in TF1 Hub format; ``tfhub_module.pb``, which makes it one, comes last."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tensorflow as tf

from hubplug.errors import UnknownTagsError
from hubplug.hookspecs import RunExport
from hubplug.spec import ExportRequest
from hubplug.types import Plan
from hubplug_format import MODULE_DEF_BYTES, MODULE_DEF_FILE, SAVED_MODEL_FILE, SAVED_MODEL_TEXT_FILE
from hubplug_tf1._errors import SessionError
from hubplug_tf1._exporting.checkpoint import (
    VARIABLES_DIRECTORY,
    save_from_checkpoint,
    save_from_session,
    save_from_variables,
)
from hubplug_tf1._graph.protos import VariableDef
from hubplug_tf1._reading.asset_names import ASSETS_DIRECTORY
from hubplug_tf1._reading.assets import AssetFiles, put_paths
from hubplug_tf1._reading.saved_model import saved_model_of, write_saved_model
from hubplug_tf1._reading.spec import GraphSpec
from hubplug_tf1._state.variables import StoredVariable
from hubplug_tf1._surroundings.collector import collector_paused

# A text form of the graph would be another one beside it.
_NAMES = (ASSETS_DIRECTORY, VARIABLES_DIRECTORY, SAVED_MODEL_FILE, SAVED_MODEL_TEXT_FILE, MODULE_DEF_FILE)


def plan_export(spec: GraphSpec, request: ExportRequest) -> Plan[RunExport]:
    """The plan that writes a module, after a look at what can be refused at once.

    Raises:
        ValueError: The values come from a checkpoint, and the module has no graph variant without tags.
        SessionError: ``request.session`` is not a plain session; it is a TypeError.
    """
    if request.checkpoint_path is not None and frozenset() not in spec.get_tags():
        raise UnknownTagsError(
            "No such graph variant: tags=None. A module is exported from a checkpoint by its graph variant without tags, "
            f"and there are only {[sorted(tags) for tags in spec.get_tags()]}",
            hint="make a Module with tags=..., restore the checkpoint into its variables, and call its export()",
        )
    if request.session is not None and not isinstance(
        request.session, (tf.compat.v1.Session, tf.compat.v1.InteractiveSession)
    ):
        raise SessionError(
            f"Module.export takes a tf.compat.v1.Session, got {type(request.session).__name__}",
            hint="give the session inside the wrapping one: raw_session() of a SingularMonitoredSession",
        )
    what = f"write {os.fsdecode(request.path)} in TF1 Hub format"
    return Plan(what, lambda dest: _write(spec, request, dest), names=_NAMES)


@collector_paused()
def _write(spec: GraphSpec, request: ExportRequest, dest: Path) -> None:
    files = AssetFiles()
    saved_model = saved_model_of(spec.variants(), spec.rest)
    meta_graphs = saved_model.meta_graphs
    for variant, meta_graph in zip(spec.variants(), meta_graphs, strict=True):
        if spec.root is not None:
            put_paths(meta_graph, variant.assets, spec.root)
        files.take(meta_graph)
    files.copy_to(dest)
    if request.session is not None:
        save_from_session(dest, request.variables or {}, request.session)
    elif request.checkpoint_path is None:
        save_from_variables(dest, request.variables or {})
    else:
        inference = meta_graphs[spec.get_tags().index(frozenset())]
        variables = _variables_of(inference)
        save_from_checkpoint(dest, variables, os.fspath(request.checkpoint_path), request.name_transform_fn)
    write_saved_model(dest, saved_model)
    (dest / MODULE_DEF_FILE).write_bytes(MODULE_DEF_BYTES)


def _variables_of(meta_graph: Any) -> Iterator[StoredVariable]:
    key = tf.compat.v1.GraphKeys.GLOBAL_VARIABLES
    if key not in meta_graph.collection_def:
        return
    nodes = {node.name: node for node in meta_graph.graph_def.node}
    for definition in meta_graph.collection_def[key].bytes_list.value:
        yield StoredVariable.parse(VariableDef.FromString(definition), nodes)
