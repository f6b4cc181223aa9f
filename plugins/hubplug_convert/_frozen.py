"""A frozen graph as a TF1 SavedModel: what is said of its inputs and outputs becomes the signature ``default``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import tensorflow as tf

from hubplug.errors import ExportError

v1 = tf.compat.v1


def write_saved_model(graph_file: Path, dest: Path, inputs: Mapping[str, str], outputs: Mapping[str, str]) -> None:
    """Writes the SavedModel.

    Args:
        graph_file: A serialized GraphDef without variables.
        dest: The directory to be made.
        inputs: Name -> tensor.
        outputs: Name -> tensor.

    Raises:
        ExportError: It has no such tensors, or ops that this process does not have.
    """
    graph_def = v1.GraphDef.FromString(graph_file.read_bytes())
    with tf.Graph().as_default() as graph:
        try:
            tf.import_graph_def(graph_def, name="")
        except ValueError as error:
            raise ExportError(f"{graph_file} cannot be imported: {error}") from error
        initializers = [
            op for op in graph.get_operations() if op.type.startswith(("InitializeTable", "LookupTableImport"))
        ]
        for op in initializers:
            v1.add_to_collection(v1.GraphKeys.TABLE_INITIALIZERS, op)
            if op.type.startswith("InitializeTableFromTextFile"):
                v1.add_to_collection(v1.GraphKeys.ASSET_FILEPATHS, op.inputs[1])
        signature = v1.saved_model.build_signature_def(
            {name: v1.saved_model.build_tensor_info(_tensor(graph, tensor)) for name, tensor in inputs.items()},
            {name: v1.saved_model.build_tensor_info(_tensor(graph, tensor)) for name, tensor in outputs.items()},
        )
        builder = v1.saved_model.builder.SavedModelBuilder(str(dest))
        with v1.Session(graph=graph) as session:
            builder.add_meta_graph_and_variables(
                session,
                ["serve"],
                {"default": signature},
                assets_collection=v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS),
                main_op=tf.group(*initializers) if initializers else None,
            )
        builder.save()


def _tensor(graph: tf.Graph, name: str) -> tf.Tensor:
    try:
        return graph.get_tensor_by_name(name)
    except (KeyError, ValueError) as error:
        raise ExportError(f"There is no tensor {name} in the graph: {error}") from error
