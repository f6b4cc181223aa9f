"""Signatures become files: by tf2onnx, with corrections; what it does not know is refused by the name of the op."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import onnx
import tensorflow as tf
from tf2onnx import constants, handler, optimizer, tf_loader, utils
from tf2onnx.tfonnx import process_tf_graph

from hubplug.errors import ExportError
from hubplug_convert._contract import Request
from hubplug_convert._onnx.corrections import handlers
from hubplug_convert._onnx.description import FILE, Signature, file_of, write_description
from hubplug_convert._onnx.graphs import FrozenSignature, find_paths, frozen_signatures
from hubplug_convert._onnx.refusals import NO_RULE, find_refused, find_unknown, refuse

# The newest that tf2onnx writes, and that onnxruntime has had for years.
_OPSET = 18
_EXTENSIONS = constants.CONTRIB_OPS_DOMAIN
_DOMAINS = ("", "ai.onnx.ml", _EXTENSIONS)


def write_all(request: Request, dest: Path) -> Sequence[str]:
    """Writes a file for each signature, and the description.

    Returns:
        What the user should know about the result.

    Raises:
        ExportError: An op stands in the way; the message names it.
    """
    found = {}
    with frozen_signatures(request) as freeze:
        for name in request.signatures:
            found[name] = _write(request, freeze(name), name, dest)
    write_description(dest, found)
    return list(_notes(found))


def _write(request: Request, frozen: FrozenSignature, name: str, dest: Path) -> Signature:
    if refused := find_refused(frozen.graph_def):
        raise refuse(refused, name)
    if paths := find_paths(frozen.graph_def, request.source):
        raise ExportError(
            f"Signature {name!r} cannot be converted to ONNX, since it gives the path of a file of the source, {paths[0]}",
            hint="leave the signature out with --signature",
        )
    inputs, outputs = list(frozen.input_tensors), list(frozen.output_tensors)
    with tf.Graph().as_default():
        tf.import_graph_def(frozen.graph_def, name="")
        optimized = tf_loader.tf_optimize(inputs, outputs, frozen.graph_def)
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(optimized, name="")
        try:
            made = process_tf_graph(
                graph,
                opset=_OPSET,
                extra_opset=[_extensions()],
                custom_op_handlers=handlers(frozen.tables),
                input_names=inputs,
                output_names=outputs,
                tensors_to_rename=dict(frozen.renamed),
                initialized_tables=dict(frozen.tables),
            )
        except Exception as error:  # Whatever a handler of tf2onnx raises.
            known = handler.tf_op.create_mapping(_OPSET, [_extensions()])
            if unknown := find_unknown(optimized, known):
                raise refuse(unknown, name) from error
            raise ExportError(
                f"Signature {name!r} cannot be converted to ONNX: {type(error).__name__}: {error}"
            ) from error
    model = optimizer.optimize_graph(made).make_model(f"signature {name}")
    if unknown := dict.fromkeys(_unknown_ops(model.graph), NO_RULE):
        raise refuse(unknown, name)
    onnx.save(model, str(dest / file_of(name)))
    extended = any(node.domain == _EXTENSIONS for node in _nodes(model.graph))
    return Signature(file_of(name), extended, frozen.inputs, frozen.outputs)


def _extensions() -> Any:
    return utils.make_opsetid(_EXTENSIONS, 1)


def _nodes(graph: Any) -> Iterator[Any]:
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from _nodes(inner)


def _unknown_ops(graph: Any) -> Iterator[str]:
    for node in _nodes(graph):
        if node.domain not in _DOMAINS or (node.domain != _EXTENSIONS and not onnx.defs.has(node.op_type, node.domain)):
            yield node.op_type


def _notes(found: dict[str, Signature]) -> Iterator[str]:
    for name, about in found.items():
        for side, ports in (("input", about.inputs), ("output", about.outputs)):
            for key, port in ports.items():
                if list(port.tensors) != [key]:
                    yield f"The {side} {key!r} of signature {name!r} is called {', '.join(port.tensors)} in {about.file}."
    has_strings = any(
        port.dtype == "string" for about in found.values() for port in (*about.inputs.values(), *about.outputs.values())
    )
    if has_strings:
        yield "Strings of ONNX are UTF-8: other bytes cannot be given to the result."
    if extended := [about.file for about in found.values() if about.needs_extensions]:
        yield f"{', '.join(extended)}: needs the custom ops of onnxruntime-extensions; {FILE} says so."
        if has_strings:
            yield "Strings of onnxruntime-extensions end before a NUL: what follows in an input is lost."
