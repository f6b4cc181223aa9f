"""A bill of materials of a module: CycloneDX 1.6 in JSON (ECMA-424, https://cyclonedx.org/docs/1.6/json/).

The module is a component of the type ``machine-learning-model`` with a ``modelCard`` (CycloneDX's own guide to ML-BOM), its files are components of
the type ``file``. What CycloneDX has no field for (handle, pin, findings) are properties that begin with ``hubplug:``, as its
property taxonomy has it (https://github.com/CycloneDX/cyclonedx-property-taxonomy). The same files under the same handle give the same bytes.
"""

from __future__ import annotations

import json
import os
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import hubplug
from hubplug.errors import ConfigError, ExportError
from hubplug.files.listing import file_sha256, list_tree
from hubplug.files.names import RESERVED_PREFIX
from hubplug.files.space import reason_of
from hubplug.hub import Hub
from hubplug.settings.config import environment_value
from hubplug.shown.words import printable
from hubplug.spec import ModuleSpec
from hubplug.types import Finding, LocalModule
from hubplug.urls import scheme_of
from hubplug_signing._bundle import read_bundle
from hubplug_signing._errors import SignatureFault
from hubplug_signing._verifying import signer_in_words

_SCHEMA = "http://cyclonedx.org/schema/bom-1.6.schema.json"
_ALWAYS = ("complete", "safe", "signed")
_LICENSE_FILES = re.compile(r"(LICEN[CS]E|COPYING)([.-][A-Za-z0-9.-]+)?", re.IGNORECASE)
_LICENSE_LINE = re.compile(r"^license:[ \t]*[\"']?([A-Za-z0-9][A-Za-z0-9.+-]{0,63})[\"']?[ \t]*$", re.MULTILINE)
_FRONT_MATTER = re.compile(r"\A---\n(.*?)\n---\n", re.DOTALL)
_LARGEST_README = 256 << 10
_URI = "%/:?=&~+!$,;'@()*"


def bill_of_materials(hub: Hub, handle: str, license: str | None = None) -> dict[str, Any]:
    """The bill of materials of a module, as it is here now.

    Args:
        hub: Brings, reads and validates it.
        handle: Of the module.
        license: An SPDX expression; None: what the module itself says.

    Raises:
        ConfigError: ``SOURCE_DATE_EPOCH`` is not a number.
        ExportError: A file cannot be read, or is a link.
        HubplugError: As ``Hub.use_spec``.
    """
    return hub.use_spec(handle, lambda spec: _bill(hub, spec, license))


def _bill(hub: Hub, spec: ModuleSpec, license: str | None) -> dict[str, Any]:
    module = spec.module
    assert module is not None  # a Hub read it
    files, written = _files(module.path)
    model = {
        "type": "machine-learning-model",
        "bom-ref": "module",
        **_named(module),
        **_licensed(module.path, files, license),
        **_distributed(module),
        "modelCard": _model_card(spec),
        "properties": [*_origin(module, written), *_findings(hub, spec, module)],
    }
    bill = {
        "$schema": _SCHEMA,
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": _timestamp(_moment(written)),
            "tools": {"components": [{"type": "application", "name": "hubplug", "version": hubplug.__version__}]},
            "component": model,
        },
        "components": [
            {
                "type": "file",
                "bom-ref": _reference(name),
                "name": printable(name),
                "hashes": [{"alg": "SHA-256", "content": sha256}],
                "properties": [_property("size", size)],
            }
            for name, size, sha256 in files
        ],
        "dependencies": [{"ref": "module", "dependsOn": [_reference(name) for name, _, _ in files]}],
        "compositions": [{"aggregate": "complete", "dependencies": ["module"]}],
    }
    content = json.dumps(bill, sort_keys=True)
    return {**bill, "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, content)}"}


def _files(directory: Path) -> tuple[list[tuple[str, int, str]], float]:
    """Name, size and digest of every file, and when the last of them was written."""
    try:
        tree = list_tree(directory)
        if tree.odd:
            name, kind = next(iter(sorted(tree.odd.items())))
            raise ExportError(f"{directory} holds {printable(name)}, which is {kind}", hint="put the file itself there")
        names = sorted(name for name in tree.files if not name.startswith(RESERVED_PREFIX))
        listed = [(name, tree.files[name], file_sha256(directory / name)) for name in names]
    except OSError as error:
        raise ExportError(f"{directory} cannot be read: {reason_of(error, directory)}") from error
    return listed, max((tree.times[name] for name in names), default=0) / 1e9


def _reference(name: str) -> str:
    """Of a file: of its very name, since two names may look alike when they are made printable."""
    return f"file:{quote(os.fsencode(name))}"


def _named(module: LocalModule) -> dict[str, str]:
    """``publisher/model/1`` is version 1 of what the publisher calls model."""
    text = printable(str(module.handle.original))
    path = urlsplit(text).path if scheme_of(text) else text
    *above, last = [part for part in path.split("/") if part] or ["module"]
    last = re.sub(r"\.(tar\.gz|tgz|tar)$", "", last)
    if not (last.isascii() and last.isdecimal() and above):
        return {"name": last}
    return {"name": above[-1], "version": last, **({"group": above[-2]} if len(above) > 1 and scheme_of(text) else {})}


def _licensed(directory: Path, files: Iterable[tuple[str, int, str]], said: str | None) -> dict[str, Any]:
    if said:
        return {"licenses": [{"expression": said}]}
    try:
        with open(directory / "README.md", encoding="utf-8", errors="replace") as file:
            head = _FRONT_MATTER.match(file.read(_LARGEST_README))
    except OSError:
        head = None
    if head and (line := _LICENSE_LINE.search(head[1])):
        return {"licenses": [{"license": {"name": line[1]}}]}
    found = [name for name, _, _ in files if "/" not in name and _LICENSE_FILES.fullmatch(name)]
    return {"licenses": [{"license": {"name": f"as in the file {name}"}} for name in found]} if found else {}


def _distributed(module: LocalModule) -> dict[str, Any]:
    came = module.provenance
    if came is None or not scheme_of(came.location):
        return {}
    hashes = {"hashes": [{"alg": "SHA-256", "content": came.archive_sha256}]} if came.archive_sha256 else {}
    return {"externalReferences": [{"type": "distribution", "url": quote(came.location, safe=_URI), **hashes}]}


def _model_card(spec: ModuleSpec) -> dict[str, Any]:
    said = spec.describe()
    inputs: list[dict[str, str]] = []
    outputs: list[dict[str, str]] = []
    for variant in said["variants"]:
        tags = f"[{', '.join(map(str, variant['tags']))}] " if len(said["variants"]) > 1 else ""
        for name, signature in variant["signatures"].items():
            for rows, side in ((inputs, "inputs"), (outputs, "outputs")):
                rows += [
                    {"format": printable(f"{tags}{name}: {_tensor(key, info)}")}
                    for key, info in signature[side].items()
                ]
    counts = said.get("variables") or {}
    properties = {
        "format": said["format"],
        "written-by-tensorflow": said.get("tensorflow_version"),
        "variables": counts.get("count"),
        "variable-bytes": counts.get("bytes"),
    }
    return {
        "modelParameters": {"inputs": inputs, "outputs": outputs},
        "properties": [_property(name, value) for name, value in properties.items() if value is not None],
    }


def _tensor(key: str, info: Mapping[str, Any]) -> str:
    shape = info["shape"]
    sizes = (
        "of unknown rank" if shape is None else f"[{', '.join('?' if size is None else str(size) for size in shape)}]"
    )
    return f"{key} {info['dtype']} {sizes}" + (f" ({info['kind']})" if info["kind"] != "dense" else "")


def _origin(module: LocalModule, written: float) -> Iterator[dict[str, str]]:
    named = next((one for one in module.handle.trail if one.answered), module.handle.original)
    yield _property("handle", module.handle.original)
    if named is not module.handle.original:
        yield _property("resolved-handle", named)
    came = module.provenance
    if came is None:
        return
    yield _property("location", came.location)
    if came.archive_sha256:
        yield _property("pinned-handle", f"{named}#sha256={came.archive_sha256}")
    if came.etag:
        yield _property("etag", came.etag)
    yield _property("fetched", _timestamp(written))


def _findings(hub: Hub, spec: ModuleSpec, module: LocalModule) -> Iterator[dict[str, str]]:
    """What the profiles of the chain find; of common signatures, which ones it keeps."""
    known = [name for member in hub.chain.members for name in getattr(member.plugin, "profiles", ())]
    for profile in dict.fromkeys(known):
        found = hub.validate(spec, [profile])
        state = _state(found)
        if profile in _ALWAYS or state == "kept":
            yield _property(f"profile:{profile}", state)
        if profile in _ALWAYS:
            for finding in found:
                said = finding.message.replace(f"{module.path}/", "").replace(str(module.path), "the module")
                yield _property(f"finding:{finding.rule}", f"{finding.level}: {said}")
    try:
        yield _property("signature", f"{signer_in_words(read_bundle(module.path))}, by its own account")
    except SignatureFault as fault:
        yield _property("signature", "none" if fault.rule == "unsigned" else "damaged")
    except (OSError, ImportError):
        yield _property("signature", "not read")


def _state(findings: Sequence[Finding]) -> str:
    errors = [finding for finding in findings if finding.level == "error"]
    if any(finding.rule.endswith(("/not-checked", "/no-signer")) for finding in errors):
        return "not checked"
    return "not kept" if errors else "kept"


def _moment(written: float) -> float:
    """Of the bill: ``SOURCE_DATE_EPOCH`` (https://reproducible-builds.org/specs/source-date-epoch/), else of the newest file."""
    said = environment_value("SOURCE_DATE_EPOCH")
    if said is None:
        return written
    if not (said.isascii() and said.isdecimal() and len(said) <= 11):
        raise ConfigError(f"SOURCE_DATE_EPOCH is {said!r}, expected seconds since 1970")
    return float(said)


def _timestamp(seconds: float) -> str:
    return datetime.fromtimestamp(int(seconds), timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _property(name: str, value: object) -> dict[str, str]:
    return {"name": f"hubplug:{name}", "value": printable(str(value))}
