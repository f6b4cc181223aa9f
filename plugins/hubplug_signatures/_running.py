"""Applying a signature to generated inputs, in a throw-away graph. The only part of validation that needs TensorFlow.

It runs the module's program in this process, which is a child made for that: see ``_run_checks``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from hubplug.module import Module
from hubplug.spec import ModuleSpec
from hubplug.types import Finding, SignatureInfo
from hubplug_format import IMAGE_INFO_KEY, message_class
from hubplug_signatures._profiles import Profile

_TEXTS = ("", "word", "several words, and a comma", "Grüße, мир, 世界 🙂", "x" * 1000)
_SEED = 20
_KEY = "default"
_NODE = re.compile(r"^Node: '(.*)'$", re.MULTILINE)
_FRAME = re.compile(r"Graph execution error:|\d+ root error\(s\) found\.|Detected at node .*")
_LONGEST_LINE = 300
# Rows of a batch and rows alone may take different kernels, which round differently.
_RELATIVE, _ABSOLUTE = 1e-3, 1e-4


def run_profile(spec: ModuleSpec, profile: Profile) -> list[Finding]:
    """Applies each signature of a profile to batches of one, of several and of none.

    Args:
        spec: A module whose static checks found no error.
        profile: Which signatures, and of which kind.

    Returns:
        Findings about values: dtypes and shapes other than declared, values that are not finite, a batch dimension that is
        not kept, rows that depend on the rest of the batch.
    """
    found: list[Finding] = []
    tags: frozenset[str] = frozenset()
    if tags not in spec.get_tags():
        said = "there is no graph variant without tags, which is the one for inference"
        return [Finding(f"{profile.name}/run", "error", said)]
    for name in profile.signatures:
        try:
            found.extend(_run_signature(spec, profile, name, spec.signatures(tags)[name]))
        except Exception as error:  # Whatever a module's graph does wrong is a finding about the module.
            failed = error.__cause__ if isinstance(error, _BatchError) and error.__cause__ else error
            to_what = f" to {error}" if isinstance(error, _BatchError) else ""
            said = f"applying it{to_what} failed: {type(failed).__name__}: {line_that_matters(str(failed))}"
            found.append(Finding(f"{profile.name}/run", "error", said, tags, name))
    return found


class _BatchError(Exception):
    """A session failed; the message says on which batch, and the cause why."""


def line_that_matters(message: str) -> str:
    """The line of an error of TensorFlow that says what went wrong, and the node if another line names it.

    The frame around it is the program's way to the node, which does not concern those who ask about the module.
    """
    before, node, after = "", "", message
    if found := list(_NODE.finditer(message)):
        before, node, after = message[: found[-1].start()], found[-1][1], message[found[-1].end() :]
    lines = [line.strip() for line in after.splitlines()] or [line.strip() for line in before.splitlines()]
    first = next((line for line in lines if line and not _FRAME.fullmatch(line)), "no message")
    return first[:_LONGEST_LINE] + (f" (node {node!r})" if node else "")


def _run_signature(spec: ModuleSpec, profile: Profile, name: str, signature: SignatureInfo) -> Iterator[Finding]:
    ((key, info),) = signature.inputs.items()
    inputs = _texts() if profile.input.dtype == "string" else _images(spec, info.shape)
    v1 = tf.compat.v1
    with tf.Graph().as_default():
        v1.set_random_seed(_SEED)
        fed = v1.placeholder(info.dtype, [None, *inputs.shape[1:]])
        outputs = Module(spec)({key: fed}, signature=name, as_dict=True)
        with v1.Session() as session:
            session.run([v1.global_variables_initializer(), v1.tables_initializer()])

            def apply(batch: Any, what: str) -> Mapping[str, Any]:
                try:
                    values: dict[str, Any] = session.run(dict(outputs), {fed: batch})
                except tf.errors.OpError as error:
                    raise _BatchError(what) from error
                return values

            whole = apply(inputs, "a batch")
            yield from _check_values(profile, name, signature, whole, len(inputs), "a batch")
            yield from _check_values(profile, name, signature, apply(inputs[:0], "an empty batch"), 0, "an empty batch")
            three = apply(inputs[:3], "a batch")
            alone = [apply(inputs[row : row + 1], "a batch of one") for row in range(len(inputs))]
            yield from _check_values(profile, name, signature, alone[0], 1, "a batch of one")
            rows = [values[_KEY] for values in alone]
            yield from _check_rows(profile, name, whole[_KEY], rows)
            yield from _check_rows(profile, name, three[_KEY], rows[:3])


def _check_values(
    profile: Profile, name: str, signature: SignatureInfo, values: Mapping[str, Any], rows: int, what: str
) -> Iterator[Finding]:
    for key, info in signature.outputs.items():
        value = values[key]
        if info.kind != "dense" or not isinstance(value, (np.ndarray, np.generic)):
            continue
        found = tf.as_dtype(value.dtype).name
        if found != info.dtype:
            said = f"output {key!r} of {what} has the dtype {found}, declared as {info.dtype}"
            yield Finding(f"{profile.name}/run-dtype", "error", said, frozenset(), name, key)
        declared = tf.TensorShape(info.shape)
        if not declared.is_compatible_with(value.shape):
            said = f"output {key!r} of {what} has the shape {list(value.shape)}, declared as {declared}"
            yield Finding(f"{profile.name}/run-shape", "error", said, frozenset(), name, key)
        if key == _KEY and value.shape[:1] != (rows,):
            said = f"output {key!r} of {what} of {rows} rows has the shape {list(value.shape)}"
            yield Finding(f"{profile.name}/run-batch", "error", said, frozenset(), name, key)
        if value.dtype.kind in "fc" and not np.isfinite(value).all():
            said = f"output {key!r} of {what} has values that are not finite"
            yield Finding(f"{profile.name}/run-finite", "error", said, frozenset(), name, key)


def _check_rows(profile: Profile, name: str, whole: Any, alone: list[Any]) -> Iterator[Finding]:
    for row, single in enumerate(alone):
        if whole.ndim == 0 or whole.shape[0] != len(alone) or single.shape[:1] != (1,):
            return
        # Values that are not finite are findings of their own.
        if not np.allclose(whole[row], single[0], _RELATIVE, _ABSOLUTE, equal_nan=True):
            moved = float(np.max(np.abs(whole[row] - single[0])))
            said = (
                f"row {row} of output {_KEY!r} depends on the rest of the batch: alone it differs by up to {moved:.3g}"
            )
            yield Finding(f"{profile.name}/run-rows", "error", said, frozenset(), name, _KEY)
            return


def _texts() -> Any:
    return np.array([text.encode() for text in _TEXTS], dtype=object)


def _images(spec: ModuleSpec, shape: tuple[int | None, ...] | None) -> Any:
    height = width = None
    if shape is not None and len(shape) == 4:
        _, height, width, _ = shape
    data = spec.attached_bytes(IMAGE_INFO_KEY)
    if data is not None:
        size = message_class("ImageModuleInfo").FromString(data).default_image_size
        height, width = size.height or height, size.width or width
    if height is None or width is None:
        raise ValueError("the size of the images is not known")
    random = np.random.default_rng(_SEED).random((2, height, width, 3), dtype=np.float32)
    return np.concatenate(
        [np.zeros((1, height, width, 3), np.float32), np.ones((1, height, width, 3), np.float32), random]
    )
