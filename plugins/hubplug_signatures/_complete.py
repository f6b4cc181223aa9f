"""Profile ``complete``: every file is there, and graph, checkpoint and signatures agree with each other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hubplug.errors import FormatError
from hubplug.types import Finding, TensorInfo
from hubplug_format import (
    VARIABLES_PREFIX,
    CheckpointIndex,
    GraphVariant,
    ObjectVariable,
    OpRegistry,
    SavedModelFile,
    VariableInfo,
    check_complete,
    dtype_name,
    find_slices_error,
    image_size,
    read_object_variables,
)
from hubplug_signatures._running_ops import RunningOps

_VARIABLE_OPS = {"VarHandleOp", "Variable", "VariableV2"}
# A GraphDef beyond this is close to the limit of the encoding, and cannot be sent over RPC.
_LARGE_GRAPH = 1 << 30


def check_directory(directory: Path, running: RunningOps | None = None) -> list[Finding]:
    """Every way in which the files of a module contradict each other, or the TensorFlow that is to load them.

    Args:
        directory: The module's.
        running: The ops of that TensorFlow; None: those of the releases that hubplug knows.
    """
    found = [Finding("complete/files", "error", problem) for problem in check_complete(directory)]
    try:
        variants = list(SavedModelFile.read(directory).variants.values())
    except FormatError:
        # check_complete has said so already.
        return found
    index = _index(directory)
    if index is not None:
        problems = (problem for name in index.entries if (problem := index.find_slices_error(name)))
        found.extend(Finding("complete/partition", "error", f"in the checkpoint, {problem}") for problem in problems)
    for variant in variants:
        try:
            found.extend(_check_variant(variant, index, running))
        except FormatError as error:
            found.append(Finding("complete/files", "error", error.message, variant.tags))
    try:
        found.extend(_check_exported_variant(variants))
    except FormatError:
        # Said already, by the variant itself.
        return found
    return found


def _index(directory: Path) -> CheckpointIndex | None:
    try:
        return CheckpointIndex.read(directory / VARIABLES_PREFIX, check_shards=False)
    except FormatError:
        return None


def _check_variant(
    variant: GraphVariant, index: CheckpointIndex | None, running: RunningOps | None
) -> Iterator[Finding]:
    tags = variant.tags
    nodes = {node.name: node for node in variant.graph.nodes}
    yield from _check_ops(variant, running)
    yield from _check_partitions(variant)
    if index is not None:
        for variable in variant.variables:
            if "variables" in variable.collections and (error := _find_variable_error(variable, nodes, index)):
                yield Finding("complete/variable", "error", error, tags, where=variable.name)
        for described in read_object_variables(variant, index):
            if error := _find_object_variable_error(described, index):
                yield Finding("complete/variable", "error", error, tags, where=described.name)
    for name, signature in variant.signatures.items():
        for side, infos in (("input", signature.inputs), ("output", signature.outputs)):
            for key, info in infos.items():
                if missing := _missing_tensors(info, nodes):
                    said = f"{side} {key!r} is the tensor {missing}, which the graph does not have"
                    yield Finding("complete/signature", "error", said, tags, name, key)
    for asset in variant.assets:
        if _node_of(asset.tensor_name) not in nodes:
            said = f"asset {asset.filename!r} belongs to {asset.tensor_name!r}, which the graph does not have"
            yield Finding("complete/asset", "error", said, tags, where=asset.filename)
    _ = variant.attachments
    _ = image_size(variant)
    if len(variant.graph_bytes) > _LARGE_GRAPH:
        said = f"the graph has {len(variant.graph_bytes)} bytes, close to the limit of 2 GiB: keep values in variables"
        yield Finding("complete/graph-size", "warning", said, tags)


def _check_ops(variant: GraphVariant, running: RunningOps | None) -> Iterator[Finding]:
    registry = OpRegistry.bundled()
    known = registry.names if running is None else running.names
    functions = {function.signature.name for function in variant.graph.functions}
    used = {node.op for node in variant.graph.nodes}
    used |= {node.op for function in variant.graph.functions for node in function.node_def}
    for op in sorted((used | set(variant.stripped_ops)) - functions - set(known)):
        package = registry.package_of(op)
        if running is not None and op in registry:
            said = (
                f"op {op} is one of TensorFlow's, and TensorFlow {running.release}, which runs here, does not have it"
            )
            yield Finding("complete/op-of-another-release", "error", said, variant.tags, where=op)
        elif package:
            said = f"op {op} needs the package {package}: pip install {package}, and import it before loading"
            yield Finding("complete/custom-op", "warning", said, variant.tags, where=op)
        else:
            others = (
                "" if running is None else f", nor of anything that is loaded into TensorFlow {running.release} here"
            )
            said = f"op {op} is not one of TensorFlow's{others}, and no package is known to have it"
            yield Finding("complete/unknown-op", "error", said, variant.tags, where=op)


def _check_partitions(variant: GraphVariant) -> Iterator[Finding]:
    """Whether the parts that the graph has of a partitioned variable are a whole."""
    partitions: dict[tuple[str, tuple[int, ...]], list[list[tuple[int, int]]]] = defaultdict(list)
    # A variable has more than one definition where its collections disagree on something else.
    seen = set()
    for variable in variant.variables:
        part = variable.slice
        if part is not None and "variables" in variable.collections and (variable.name, part) not in seen:
            seen.add((variable.name, part))
            extents = list(zip(part.offset, part.shape, strict=False))
            partitions[part.full_name, part.full_shape].append(extents)
    for (name, shape), slices in partitions.items():
        if error := find_slices_error(shape, slices):
            yield Finding("complete/partition", "error", f"of variable {name!r}, {error}", variant.tags, where=name)


def _find_variable_error(variable: VariableInfo, nodes: dict[str, Any], index: CheckpointIndex) -> str | None:
    entry = index.entries.get(variable.key)
    if entry is None:
        return f"variable {variable.key!r} is not in the checkpoint"
    node = nodes.get(_node_of(variable.name))
    if node is None or node.op not in _VARIABLE_OPS:
        return f"variable {variable.name!r} is not in the graph"
    dtype = dtype_name(node.attr["dtype"].type)
    if dtype != entry.dtype:
        return f"variable {variable.key!r} is {dtype} in the graph and {entry.dtype} in the checkpoint"
    shape = node.attr["shape"].shape
    declared = None if shape.unknown_rank else [dim.size for dim in shape.dim]
    part = variable.slice
    if part is not None and part.full_shape != entry.shape:
        return (
            f"variable {variable.key!r} has the shape {list(part.full_shape)} in the graph "
            f"and {list(entry.shape)} in the checkpoint"
        )
    stored = list(part.shape if part is not None else entry.shape)
    if declared is not None and not _compatible(declared, stored):
        return f"variable {variable.name!r} has the shape {declared} in the graph and {stored} in the checkpoint"
    return None


def _find_object_variable_error(variable: ObjectVariable, index: CheckpointIndex) -> str | None:
    entry = index.entries.get(variable.key)
    if entry is None:
        return f"variable {variable.name!r} is {variable.key!r} in the checkpoint, which does not have it"
    if variable.dtype != entry.dtype:
        return f"variable {variable.key!r} is {variable.dtype} in the object graph and {entry.dtype} in the checkpoint"
    if variable.shape is None or entry.slices:  # the parts of a sharded variable are variables of their own
        return None
    declared = [-1 if size is None else size for size in variable.shape]
    if not _compatible(declared, list(entry.shape)):
        return (
            f"variable {variable.key!r} has the shape {declared} in the object graph "
            f"and {list(entry.shape)} in the checkpoint"
        )
    return None


def _check_exported_variant(variants: list[GraphVariant]) -> Iterator[Finding]:
    exported = next((variant for variant in variants if not variant.tags), variants[0])
    defined = {variable.key for variable in exported.variables if "variables" in variable.collections}
    for variant in variants:
        if variant.has_object_graph:
            continue
        others = {variable.key for variable in variant.variables if "variables" in variable.collections}
        if missing := sorted(others - defined):
            shown = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
            said = (
                f"the graph variant {sorted(exported.tags)}, which is the one that is exported, does not define "
                f"{len(missing)} variables of this one: {shown}"
            )
            yield Finding("complete/variants", "error", said, variant.tags)


def _compatible(declared: list[int], stored: list[int]) -> bool:
    return len(declared) == len(stored) and all(a in (-1, b) for a, b in zip(declared, stored, strict=True))


def _missing_tensors(info: TensorInfo, nodes: dict[str, Any]) -> str | None:
    return next((repr(name) for name in info.names.values() if name and _node_of(name) not in nodes), None)


def _node_of(tensor_name: str) -> str:
    return tensor_name.rpartition(":")[0] or tensor_name
