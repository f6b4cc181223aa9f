"""Whether one module is a drop-in successor of another: what changed in signatures, variables, assets and ops.

An error breaks a program that uses the first module. A warning can: one that restores a checkpoint of its own, for
example. A note tells what else is different.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hubplug.errors import FormatError
from hubplug.spec import ModuleSpec
from hubplug.types import Finding, SignatureInfo, TensorInfo
from hubplug_format import VARIABLES_PREFIX, CheckpointIndex, GraphVariant, SavedModelFile, find_asset_file_error
from hubplug_signatures._unsafe_ops import judge

_NUMERIC = "fiub"


def diff(old: ModuleSpec, new: ModuleSpec) -> list[Finding]:
    """Compares two modules.

    Args:
        old: The one that programs use.
        new: The one that is to take its place.

    Raises:
        FormatError: A module's files cannot be read.
    """
    found = list(_diff_variants(old, new))
    for tags in sorted(set(old.get_tags()) & set(new.get_tags()), key=sorted):
        found += _diff_signatures(old.signatures(tags), new.signatures(tags), tags)
    before, after = (getattr(spec, "directory", None) for spec in (old, new))
    if before is not None and after is not None:
        found += _diff_files(Path(before), Path(after))
    return found


def _diff_variants(old: ModuleSpec, new: ModuleSpec) -> Iterator[Finding]:
    before, after = set(old.get_tags()), set(new.get_tags())
    for tags in sorted(before - after, key=sorted):
        yield Finding("diff/tags", "error", f"the graph variant {sorted(tags)} is gone", tags)
    for tags in sorted(after - before, key=sorted):
        yield Finding("diff/tags", "note", f"the graph variant {sorted(tags)} is new", tags)


def _diff_signatures(
    old: Mapping[str, SignatureInfo], new: Mapping[str, SignatureInfo], tags: frozenset[str]
) -> Iterator[Finding]:
    for name in sorted({*old, *new}):
        if name not in new:
            yield Finding("diff/signature", "error", f"the signature {name!r} is gone", tags, name)
        elif name not in old:
            yield Finding("diff/signature", "note", f"the signature {name!r} is new", tags, name)
        else:
            yield from _diff_ports("input", old[name].inputs, new[name].inputs, tags, name)
            yield from _diff_ports("output", old[name].outputs, new[name].outputs, tags, name)


def _diff_ports(
    side: str, old: Mapping[str, TensorInfo], new: Mapping[str, TensorInfo], tags: frozenset[str], name: str
) -> Iterator[Finding]:
    rule = f"diff/{side}"
    for key in sorted({*old, *new}):
        if key not in new:
            yield Finding(rule, "error", f"{side} {key!r} is gone", tags, name, key)
        elif key not in old:
            level, said = ("error", "which programs do not feed") if side == "input" else ("note", "an addition")
            yield Finding(
                rule, "error" if level == "error" else "note", f"{side} {key!r} is new, {said}", tags, name, key
            )
        else:
            before, after = old[key], new[key]
            if before.kind != after.kind:
                said = f"{side} {key!r} was {before.kind} and is {after.kind}"
                yield Finding(rule, "error", said, tags, name, key)
            if before.dtype != after.dtype:
                said = f"{side} {key!r} had the dtype {before.dtype} and has {after.dtype}"
                yield Finding(rule, "error", said, tags, name, key)
            if before.shape != after.shape:
                # An input may take more than it did, an output may promise more than it did.
                fine = _covers(after.shape, before.shape) if side == "input" else _covers(before.shape, after.shape)
                said = f"{side} {key!r} had the shape {_words(before.shape)} and has {_words(after.shape)}"
                yield Finding(rule, "note" if fine else "error", said, tags, name, key)


def _covers(wide: tuple[int | None, ...] | None, narrow: tuple[int | None, ...] | None) -> bool:
    if wide is None:
        return True
    return (
        narrow is not None
        and len(wide) == len(narrow)
        and all(a is None or a == b for a, b in zip(wide, narrow, strict=True))
    )


def _words(shape: tuple[int | None, ...] | None) -> str:
    return "<unknown rank>" if shape is None else "[" + ", ".join("?" if n is None else str(n) for n in shape) + "]"


def _diff_files(old: Path, new: Path) -> Iterator[Finding]:
    before, after = SavedModelFile.read(old).variants, SavedModelFile.read(new).variants
    for tags in sorted(before.keys() & after.keys(), key=sorted):
        yield from _diff_attachments(before[tags], after[tags])
        yield from _diff_ops(before[tags], after[tags])
    yield from _diff_assets(old, new, before, after)
    yield from _diff_variables(_checkpoint(old), _checkpoint(new))


def _diff_attachments(old: GraphVariant, new: GraphVariant) -> Iterator[Finding]:
    for key in sorted({*old.attachments, *new.attachments}):
        if key not in new.attachments:
            yield Finding("diff/attachment", "error", f"the attachment {key!r} is gone", old.tags, where=key)
        elif key not in old.attachments:
            yield Finding("diff/attachment", "note", f"the attachment {key!r} is new", old.tags, where=key)
        elif old.attachments[key] != new.attachments[key]:
            said = f"the attachment {key!r} has different content"
            yield Finding("diff/attachment", "warning", said, old.tags, where=key)


def _diff_ops(old: GraphVariant, new: GraphVariant) -> Iterator[Finding]:
    before, after = _ops(old), _ops(new)
    for op in sorted(after - before):
        if about := judge(op):
            said = f"op {op}, which {about.reason}, is new"
            yield Finding("diff/op", "warning", said, old.tags, where=op)
    if added := sorted(after - before):
        yield Finding("diff/op", "note", f"new ops: {', '.join(added)}", old.tags)
    if gone := sorted(before - after):
        yield Finding("diff/op", "note", f"ops that are gone: {', '.join(gone)}", old.tags)


def _ops(variant: GraphVariant) -> set[str]:
    functions = {function.signature.name for function in variant.graph.functions}
    bodies = [variant.graph.nodes, *(function.node_def for function in variant.graph.functions)]
    return {node.op for nodes in bodies for node in nodes} - functions


def _diff_assets(
    old: Path, new: Path, before: Mapping[Any, GraphVariant], after: Mapping[Any, GraphVariant]
) -> Iterator[Finding]:
    names = [
        {asset.filename for variant in variants.values() for asset in variant.assets} for variants in (before, after)
    ]
    for name in sorted(names[0] | names[1]):
        if name not in names[1]:
            yield Finding("diff/asset", "note", f"the asset {name!r} is gone", where=name)
        elif name not in names[0]:
            yield Finding("diff/asset", "note", f"the asset {name!r} is new", where=name)
        elif (digests := [_digest(old, name), _digest(new, name)])[0] != digests[1]:
            yield Finding("diff/asset", "note", f"the asset {name!r} has different content", where=name)


def _digest(directory: Path, name: str) -> str | None:
    if find_asset_file_error(directory, name):
        return None
    digest = hashlib.sha256()
    with (directory / "assets" / name).open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _checkpoint(directory: Path) -> CheckpointIndex | None:
    prefix = directory / VARIABLES_PREFIX
    return CheckpointIndex.read(prefix) if Path(f"{prefix}.index").exists() else None


def _diff_variables(old: CheckpointIndex | None, new: CheckpointIndex | None) -> Iterator[Finding]:
    before, after = (index.entries if index else {} for index in (old, new))
    for name in sorted({*before, *after}):
        if name not in after:
            said = f"variable {name!r} is gone: checkpoints of programs that train the module do not fit"
            yield Finding("diff/variable", "warning", said, where=name)
        elif name not in before:
            said = f"variable {name!r} is new: checkpoints of programs that train the module do not fit"
            yield Finding("diff/variable", "warning", said, where=name)
        elif (before[name].dtype, before[name].shape) != (after[name].dtype, after[name].shape):
            said = (
                f"variable {name!r} was {before[name].dtype} {list(before[name].shape)} and is "
                f"{after[name].dtype} {list(after[name].shape)}"
            )
            yield Finding("diff/variable", "warning", said, where=name)
        elif old is not None and new is not None and (said := _movement(name, old, new) or ""):
            yield Finding("diff/value", "note", said, where=name)


def _movement(name: str, old: CheckpointIndex, new: CheckpointIndex) -> str | None:
    """How far the values of a variable moved; None where they did not."""
    import numpy as np

    if not old.entries[name].slices and not new.entries[name].slices and old.raw(name) == new.raw(name):
        return None
    try:
        before, after = old.array(name), new.array(name)
    except FormatError:
        return f"variable {name!r} has other values"
    if before.dtype.kind not in _NUMERIC or before.dtype.kind == "b":
        changed = int(np.sum(before != after))
        return f"variable {name!r} has different values in {changed} of {before.size} places" if changed else None
    moved = np.abs(after.astype(np.float64) - before.astype(np.float64))
    if not moved.size or not np.any(moved != 0):
        return None
    norm = float(np.linalg.norm(before.astype(np.float64)))
    relative = f", {float(np.linalg.norm(moved)) / norm:.3g} of its norm" if norm else ""
    return f"variable {name!r} moved by up to {float(moved.max()):.3g}{relative}"
