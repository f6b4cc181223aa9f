"""A job of ``hubplug apply``: everything that is checked before it starts, and what of it is there already.

A file beside the shards says what they are of. A job is resumed by what is missing: a shard is there whole or not at all.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hubplug.errors import ConfigError, FormatError, InputError, MissingError, OccupiedError
from hubplug.hub import Hub
from hubplug.urls import redact
from hubplug_beam import _files, _formats, _shipping, _writing
from hubplug_beam._applying import FAILED_SUFFIX
from hubplug_beam._calls import Call, as_plain, check_columns, find_block_error
from hubplug_beam._cutting import check_output, plan_parts
from hubplug_beam._parts import Part, shard_path
from hubplug_beam._shipping import Shipment

_VERSION = 1
_ROWS_TO_TRY = 20


@dataclass(frozen=True)
class Wish:
    """What the user asks for; see ``hubplug apply --help``."""

    handle: str
    input: str
    output: str
    signature: str | None = None
    columns: Mapping[str, str] | None = None
    form: str | None = None
    as_dict: bool = False
    select: Collection[str] = ()
    keep: Sequence[str] = ()
    tags: Collection[str] = ()
    batch_size: int = 256
    padding: str = "none"
    split_bytes: int = 1
    resume: bool = False


@dataclass(frozen=True)
class Job:
    """A job that may start.

    Attributes:
        shipment: What workers get.
        form: The format of the input.
        output: The pattern of the shards.
        parts: What becomes a shard each.
        missing: Those of them of which there is no shard yet.
        manifest: Where it is written what the shards are of.
        facts: What is written there.
    """

    shipment: Shipment
    form: str
    output: str
    parts: Sequence[Part]
    missing: Sequence[Part]
    manifest: str
    facts: Mapping[str, Any]

    def start(self) -> None:
        """Says what the shards are going to be of, before there is one.

        Raises:
            ExportError: Nothing can be written there.
        """
        with _files.writing(self.manifest) as file:
            file.write((json.dumps(self.facts, indent=2) + "\n").encode())

    def still_missing(self) -> list[Part]:
        """The parts of which there is no shard now."""
        return _missing(self.output, self.missing)

    def reason_for(self, part: Part) -> str | None:
        """Why there is no shard of a part, where that was written down."""
        try:
            text = _files.read_whole(shard_path(self.output, part) + FAILED_SUFFIX).decode()
        except (OSError, ValueError):
            return None
        failures = [json.loads(line) for line in text.splitlines()]
        return next((str(failure["reason"]) for failure in failures if failure["row"] is None), None)


def plan_job(hub: Hub, wish: Wish) -> Job:
    """Checks everything that can be checked before a row is computed; needs TensorFlow for records only.

    Raises:
        OccupiedError: There is output already, and the job is not to be resumed.
        ConfigError: The input, the output or the configuration cannot be; or what is there is of another job.
        InputError: The signature does not fit the columns.
        HubplugError: The module or the input cannot be had.
    """
    check_output(wish.output)
    wish = replace(wish, input=_files.absolute(wish.input), output=_files.absolute(wish.output))
    for url in (wish.handle, wish.input, wish.output):
        _shipping.demand_no_secret(url)
    form, parts = plan_parts(wish.input, wish.form, wish.split_bytes)

    shipment = _shipping.ship(
        hub,
        wish.handle,
        signature=wish.signature,
        columns=wish.columns,
        as_dict=wish.as_dict,
        select=wish.select,
        keep=wish.keep,
        tags=wish.tags,
        batch_size=wish.batch_size,
        padding=wish.padding,
    )
    shipment = replace(shipment, call=_checked(shipment.call, form, parts))
    _writing.check_writing(wish.output, shipment.call)
    facts = {
        "version": _VERSION,
        "handle": redact(wish.handle),
        "module": shipment.content,
        "format": form,
        **as_plain(shipment.call),
        "shards": len(parts),
        "input": redact(wish.input),
        "input_sha256": _digest([[part.files, part.start, part.stop, part.size] for part in parts]),
    }
    manifest = wish.output.replace("*", "job", 1)
    manifest = f"{os.path.splitext(manifest)[0]}.json"
    missing = _check_place(wish, manifest, facts, parts)
    return Job(shipment, form, wish.output, parts, missing, manifest, facts)


def _checked(call: Call, form: str, parts: Sequence[Part]) -> Call:
    """The call over the columns of the input, of which the first rows were tried."""
    damaged = None
    for part in parts:
        try:
            available = _formats.columns_of(part, form)
            checked = check_columns(call, form, available) if available else call
            block = next(_formats.read_blocks(part, form, _ROWS_TO_TRY, checked.wanted), None) if available else None
        except FormatError as problem:  # which the job will say of this part, if another one can be read
            damaged = damaged or problem
            continue
        if block is not None and block.numbers and (error := find_block_error(checked, block)):
            raise InputError(
                f"No row of the first {len(block.numbers)} of {part} fits the signature {call.signature!r}: {error}",
                hint="choose columns with --column INPUT=COLUMN; `hubplug show` lists what inputs take",
            )
        if available:
            return checked
    raise damaged or MissingError("There is no row in the input", hint="check the pattern, and --format")


def _check_place(wish: Wish, manifest: str, facts: Mapping[str, Any], parts: Sequence[Part]) -> list[Part]:
    shown = redact(manifest)
    there = bool(_files.find_numbered(manifest))
    shards = [path for path, _ in _files.find_numbered(wish.output)]
    if not wish.resume:
        if there or shards:
            count = f"{len(shards)} files match {redact(wish.output)}" if shards else f"{shown} is there"
            raise OccupiedError(
                f"There is output already: {count}; nothing was written",
                hint="go on with --resume, or choose another output",
            )
        return list(parts)
    if not there and shards:
        raise ConfigError(
            f"{len(shards)} files match {redact(wish.output)}, but there is no {shown} that says what they are of",
            hint="choose another output",
        )
    if there:
        said = _read_manifest(manifest)
        different = sorted(key for key in {*said, *facts} if said.get(key) != json.loads(json.dumps(facts.get(key))))
        if different:
            raise ConfigError(
                f"{shown} is of another job: {', '.join(_difference(key, said, facts) for key in different)}",
                hint="resume with what the job was started with, or choose another output",
            )
    return _missing(wish.output, parts)


def _read_manifest(manifest: str) -> dict[str, Any]:
    try:
        said = json.loads(_files.read_whole(manifest))
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise ConfigError(
            f"{redact(manifest)} is damaged, so that nobody can tell what the shards beside it are of",
            hint="choose another output, or remove it and the shards",
        )
    return said


def _missing(output: str, parts: Sequence[Part]) -> list[Part]:
    names = {os.path.basename(path) for path, _ in _files.find_numbered(output)}
    return [part for part in parts if os.path.basename(shard_path(output, part)) not in names]


def _difference(key: str, said: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    if key.endswith("sha256") or key == "module":
        return f"{'the files of the input' if key == 'input_sha256' else 'the module'} changed"
    return f"{key} was {said.get(key)!r} and is {facts.get(key)!r}"


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()
