"""TF1 SavedModels as modules in TF1 Hub format."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

import hubplug
from hubplug_convert._contract import Request, Runner
from hubplug_convert._graph_runner import ModuleRunner
from hubplug_format import ATTACHMENTS_COLLECTION, SAVED_MODEL_FILE, SavedModelFile

v1 = tf.compat.v1
_KEYS = v1.GraphKeys
_SERVING, _DEFAULT = "serving_default", "default"
# What a module may have. The rest is for the sessions and trainers of a program.
_KEPT = {
    _KEYS.GLOBAL_VARIABLES,
    _KEYS.TRAINABLE_VARIABLES,
    _KEYS.MODEL_VARIABLES,
    _KEYS.TABLE_INITIALIZERS,
    _KEYS.UPDATE_OPS,
    _KEYS.REGULARIZATION_LOSSES,
    _KEYS.ASSET_FILEPATHS,
    _KEYS.COND_CONTEXT,
    _KEYS.WHILE_CONTEXT,
    ATTACHMENTS_COLLECTION,
    "saved_model_assets",
}


class SavedModelToModule:
    """The graph variant for serving becomes the one without tags, and ``serving_default`` the signature ``default`` too."""

    def convert(self, request: Request, dest: Path) -> Sequence[str]:
        with tempfile.TemporaryDirectory() as folder:
            prepared = Path(folder) / "model"
            notes = _prepare(request, prepared)
            spec = hubplug.create_module_spec_from_saved_model(str(prepared))
            spec.hub = hubplug.Hub({"chain": ["file", "tf1"]})
            with tf.Graph().as_default():
                module = hubplug.Module(spec)
                with v1.Session() as session:
                    session.run([v1.global_variables_initializer(), v1.tables_initializer()])
                    module.export(str(dest), session)
        return notes

    def open(self, request: Request, result: Path) -> Runner:
        return ModuleRunner(Request(result, "tf1-hub", frozenset(), request.signatures))


def _prepare(request: Request, prepared: Path) -> list[str]:
    """A copy of the SavedModel with one graph variant, as a module has it; its other files are linked to."""
    prepared.mkdir()
    variant = SavedModelFile.read(request.source).variant(request.tags)
    for name in ("variables", "assets"):
        if (request.source / name).is_dir():
            (prepared / name).symlink_to(request.source / name)
    meta_graph = v1.MetaGraphDef.FromString(variant.meta_graph_bytes)
    notes = []
    del meta_graph.meta_info_def.tags[:]
    dropped = [name for name in meta_graph.collection_def if name not in _KEPT]
    for name in dropped:
        del meta_graph.collection_def[name]
    for name in list(meta_graph.signature_def):
        if name not in request.signatures:
            del meta_graph.signature_def[name]
    signatures = meta_graph.signature_def
    if _DEFAULT not in signatures:
        first = _SERVING if _SERVING in signatures else next(iter(signatures)) if len(signatures) == 1 else None
        if first is not None:
            signatures[_DEFAULT].CopyFrom(signatures[first])
            notes.append(f"The signature {first!r} is also the signature 'default'.")
    for name in sorted(signatures):
        outputs = signatures[name].outputs
        if _DEFAULT not in outputs and len(outputs) == 1:
            (only,) = outputs
            outputs[_DEFAULT].CopyFrom(outputs[only])
            notes.append(f"The output {only!r} of the signature {name!r} is also its output 'default'.")
    model = saved_model_pb2.SavedModel(saved_model_schema_version=1, meta_graphs=[meta_graph])
    (prepared / SAVED_MODEL_FILE).write_bytes(model.SerializeToString())
    return notes
