"""Which signature is applied to which columns, and what is kept of it; checked before anything starts."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hubplug.errors import FormatError, InputError, UnknownSignatureError
from hubplug.shown.words import nearest
from hubplug.spec import ModuleSpec
from hubplug.types import SignatureInfo, TensorInfo
from hubplug_beam import _values
from hubplug_beam._formats import IMAGE_COLUMNS, TEXT_COLUMN, Block

BATCH_SIZE = 256
_OUTPUT = "default"
# What these are called in SavedModels.
_SERVING = "serving_default"
_PADDINGS = ("none", "powers", "full")


@dataclass(frozen=True)
class Call:
    """How a module is applied to rows.

    Attributes:
        signature: The name of the signature.
        inputs: What it takes, by key.
        outputs: What is kept of what it gives, by key.
        columns: By key of an input the column that it takes.
        keep: Columns of the input that are written beside the outputs.
        tags: The graph variant.
        batch_size: The most rows in a batch.
        padding: ``none``; ``powers``: batches are filled up to the next power of two; ``full``: to ``batch_size``.
    """

    signature: str
    inputs: Mapping[str, TensorInfo]
    outputs: Mapping[str, TensorInfo]
    columns: Mapping[str, str] = field(default_factory=dict)
    keep: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    batch_size: int = BATCH_SIZE
    padding: str = "none"

    @property
    def wanted(self) -> list[str]:
        """The columns that are read."""
        return list(dict.fromkeys([*self.columns.values(), *self.keep]))

    def over(self, form: str) -> Call:
        """The call over files of a format: of texts and images, the only input takes the column that anyone could mean."""
        obvious = {"text": TEXT_COLUMN, "images": IMAGE_COLUMNS[1]}.get(form)
        (key, column), *others = self.columns.items()
        if obvious is None or others or key != column:
            return self
        return replace(self, columns={key: obvious})

    def values(self, block: Block, rows: Sequence[int] | None = None) -> dict[str, _values.Value]:
        """What the inputs take.

        Args:
            block: Where the columns are.
            rows: The places of the rows in it; None: all, in their order.

        Raises:
            ValueError: A value does not fit; says of which column.
        """
        found = {}
        for key, info in self.inputs.items():
            name = self.columns[key]
            column = block.columns[name] if name in block.columns else [None] * len(block.numbers)
            try:
                found[key] = _values.convert(
                    column if rows is None else _values.rows_of(column, rows), info, flat=block.flat
                )
            except (ValueError, TypeError, OverflowError) as error:
                raise ValueError(f"column {name!r}, for the input {key!r}: {error}") from None
        return found

    def padded_size(self, rows: int) -> int:
        """How many rows a batch of so many is filled up to."""
        if self.padding == "full":
            return self.batch_size
        return min(self.batch_size, 1 << (rows - 1).bit_length()) if self.padding == "powers" else rows


def plan_call(
    spec: ModuleSpec,
    signature: str | None = None,
    *,
    columns: Mapping[str, str] | None = None,
    as_dict: bool = False,
    select: Collection[str] = (),
    keep: Sequence[str] = (),
    tags: Collection[str] | None = None,
    batch_size: int = BATCH_SIZE,
    padding: str = "none",
) -> Call:
    """Checks what is asked for against what a module has.

    Args:
        spec: The module.
        signature: None stands for ``default``, or ``serving_default`` where there is no such.
        columns: By key of an input the column that it takes; of those that are not in it, the column of their name.
        as_dict: Whether to keep all outputs, and not ``default`` alone, or the only one.
        select: The outputs to keep, in the place of ``as_dict``.
        keep: Columns that are written beside the outputs.
        tags: The graph variant; None stands for the one without tags, or the only one.
        batch_size: The most rows in a batch.
        padding: ``none``, ``powers`` or ``full``; see ``Call``.

    Raises:
        UnknownTagsError: There is no such graph variant.
        UnknownSignatureError: There is no such signature.
        InputError: Inputs or outputs do not fit.
    """
    variants = spec.get_tags()
    if not tags and frozenset() not in variants and len(variants) == 1:
        (tags,) = variants
    signatures = spec.signatures(tags)
    name = signature or (_SERVING if _SERVING in signatures and _OUTPUT not in signatures else _OUTPUT)
    if name not in signatures:
        raise UnknownSignatureError(f"There is no signature {name!r}", hint=nearest(name, signatures))
    info = signatures[name]
    for key in columns or {}:
        if key not in info.inputs:
            raise InputError(f"The signature {name!r} has no input {key!r}", hint=nearest(key, info.inputs))
    if batch_size < 1 or padding not in _PADDINGS:
        raise InputError(
            f"batch_size={batch_size}, padding={padding!r}", hint=f"padding is one of {', '.join(_PADDINGS)}"
        )
    _refuse_parts(spec, info)
    fixed = _fixed_batch(name, info)
    if fixed is not None:
        batch_size, padding = fixed, "full"
    outputs = _outputs(name, info, as_dict, select, fixed)
    if twice := sorted(set(outputs) & set(keep)):
        raise InputError(f"{twice[0]!r} is an output of the module and a column to keep", hint="leave one of them out")
    mapping = {key: (columns or {}).get(key, key) for key in info.inputs}
    return Call(
        name,
        dict(info.inputs),
        outputs,
        mapping,
        tuple(dict.fromkeys(keep)),
        tuple(sorted(tags or ())),
        batch_size,
        padding,
    )


def check_columns(call: Call, form: str, available: Sequence[str]) -> Call:
    """The call over the columns that the files have.

    Args:
        call: What is planned.
        form: The format of the files.
        available: Their columns.

    Raises:
        InputError: A column is not there; says which there are.
    """
    call = call.over(form)
    if len(call.columns) == 1 and len(available) == 1 and [*call.columns] == [*call.columns.values()]:
        call = replace(call, columns=dict.fromkeys(call.columns, available[0]))
    for key, column in call.columns.items():
        if column not in available:
            hint = f"there are: {', '.join(map(repr, available)) or 'none'}"
            if key == column:
                hint += f"; say which with --column {key}=COLUMN"
            raise InputError(f"The input {key!r} takes the column {column!r}, which the files do not have", hint=hint)
    for column in call.keep:
        if column not in available:
            raise InputError(f"There is no column {column!r} to keep", hint=nearest(column, available))
    return call


def find_block_error(call: Call, block: Block) -> str | None:
    """Says why no row of the first block fits; None when one does. Single bad rows are for the job to report."""
    first = None
    for place in range(len(block.numbers)):
        try:
            call.values(block, [place])
        except ValueError as error:
            first = first or str(error)
        else:
            return None
    return first


def _outputs(
    name: str, info: SignatureInfo, as_dict: bool, select: Collection[str], fixed: int | None
) -> dict[str, TensorInfo]:
    for key in select:
        if key not in info.outputs:
            raise InputError(f"The signature {name!r} has no output {key!r}", hint=nearest(key, info.outputs))
    if not select and not as_dict:
        if _OUTPUT not in info.outputs and len(info.outputs) != 1:
            raise InputError(
                f"The signature {name!r} has no output named 'default'",
                hint=f"choose with --select (select=), or take all with --as-dict: {', '.join(info.outputs)}",
            )
        select = [_OUTPUT] if _OUTPUT in info.outputs else list(info.outputs)
    chosen = {key: tensor for key, tensor in info.outputs.items() if not select or key in select}
    per_row = [key for key, tensor in info.outputs.items() if _is_per_row(tensor, fixed)]
    for key, tensor in chosen.items():
        if not _is_per_row(tensor, fixed):
            raise InputError(
                f"The output {key!r} has shape {list(tensor.shape or ())}: one value for a batch, not one for each row",
                hint=f"choose with --select (select=) among: {', '.join(per_row) or 'none is one for each row'}",
            )
    return chosen


def _is_per_row(info: TensorInfo, fixed: int | None) -> bool:
    """Whether there is a value for each row, where batches have a fixed number of rows or any."""
    return info.shape is None or bool(info.shape and info.shape[0] in (None, fixed))


def _refuse_parts(spec: ModuleSpec, info: SignatureInfo) -> None:
    """
    Raises:
        InputError: It is a SavedModel with a sparse input, which TensorFlow 2 takes apart: the parts are not for each row.
    """
    try:
        spec.check_instantiable()
    except FormatError:
        for key, tensor in info.inputs.items():
            if tensor.kind != "dense":
                raise InputError(
                    f"The input {key!r} is sparse or ragged, which TensorFlow 2 does not feed to a SavedModel of TensorFlow 1",
                    hint="make it a module: hubplug.create_module_spec_from_saved_model, then export",
                ) from None
            if _is_sparse_in_parts([info.inputs.get(f"{key}{end}") for end in ("", "_1", "_2")]):
                raise InputError(
                    f"The inputs {key!r}, '{key}_1' and '{key}_2' are the parts of a sparse tensor, which are not for each row",
                    hint="export the SavedModel with a signature that takes dense values, or text",
                ) from None


def _is_sparse_in_parts(parts: Sequence[TensorInfo | None]) -> bool:
    """Whether these are places, values and shape."""
    places, values, shape = ((part.dtype, part.shape) if part else None for part in parts)
    return (
        places is not None
        and values is not None
        and shape is not None
        and (shape[0], values[1]) == ("int64", (None,))
        and places == ("int64", (None, *(shape[1] or ())))
    )


def _fixed_batch(name: str, info: SignatureInfo) -> int | None:
    """How many rows the signature always takes, where it says so.

    Raises:
        InputError: An input takes no rows at all.
    """
    if not info.inputs:
        raise InputError(f"The signature {name!r} has no inputs, so there is nothing to apply it to")
    sizes: set[int] = set()
    for key, tensor in info.inputs.items():
        if tensor.shape is not None and not tensor.shape:
            raise InputError(f"The input {key!r} takes a single value, not one for each row")
        if tensor.shape and tensor.shape[0] is not None:
            sizes.add(tensor.shape[0])
    if len(sizes) > 1:
        raise InputError(f"The inputs of the signature {name!r} take different numbers of rows: {sorted(sizes)}")
    return sizes.pop() if sizes else None


def as_plain(call: Call) -> dict[str, Any]:
    """What tells two calls apart, for JSON."""
    return {
        "signature": call.signature,
        "columns": dict(call.columns),
        "outputs": sorted(call.outputs),
        "keep": list(call.keep),
        "tags": list(call.tags),
        "batch_size": call.batch_size,
        "padding": call.padding,
    }
