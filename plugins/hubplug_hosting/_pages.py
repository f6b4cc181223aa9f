"""The pages that a person reads: the list of modules, and what one module takes and gives."""

from __future__ import annotations

import os
from collections.abc import Iterable
from html import escape
from urllib.parse import quote

from hubplug.errors import HubplugError
from hubplug.spec import variants_in_words
from hubplug.types import SignatureInfo, TensorInfo
from hubplug_format import MODULE_DEF_FILE, SAVED_MODEL_FILE, GraphVariant, SavedModelFile
from hubplug_hosting._catalogue import Place
from hubplug_hosting._members import list_members, open_regular, opened_directory
from hubplug_hosting._packing import kind_of

# Do not read a definition of gigabytes for a page.
_LARGEST_DEFINITION = 256 << 20
_MOST_VARIABLES = 200
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}"
    "table{border-collapse:collapse;margin:.5rem 0 1.5rem}th,td{text-align:left;padding:.2rem .8rem .2rem 0;"
    "border-bottom:1px solid #ddd;vertical-align:top}code,pre{font-family:ui-monospace,monospace;font-size:.9em}"
    "pre{background:#f5f5f5;padding:.8rem;overflow:auto}"
)
_NOTHING_YET = (
    "<p>There is no module here yet. Below the directory that is served, put a module directory at"
    " <code>publisher/model/1</code>, or its archive at <code>publisher/model/1.tar.gz</code>"
    " (<code>hubplug pack</code> makes it).</p>"
)


def list_page(names: Iterable[str], base_url: str) -> str:
    """All modules.

    Args:
        names: As they are in a URL, not encoded.
        base_url: With a slash at its end.
    """
    rows = "".join(f"<li><a href='/{escape(quote(name))}'>{escape(name)}</a></li>" for name in names)
    body = f"<ul>{rows}</ul>" if rows else _NOTHING_YET
    example = f'hubplug resolve "{base_url}PUBLISHER/MODEL/VERSION"'
    return _page("Modules", f"{body}<pre>{escape(example)}</pre>")


def module_page(root: str, place: Place, handle: str) -> str:
    """What there is to know about a module without loading it.

    Args:
        root: The directory that is served.
        place: Where the module is below it.
        handle: Its URL.

    Raises:
        HubplugError: It cannot be packed.
        OSError: It cannot be read.
    """
    title = place.name
    if place.is_archive:
        with opened_directory(root) as descriptor:
            file = open_regular(place.components, descriptor)
        try:
            size = os.fstat(file).st_size
        finally:
            os.close(file)
        return _page(title, f"<p>An archive of {size:,} bytes.</p>{_usage(handle, None)}")
    with opened_directory(root, place.components) as descriptor:
        members = list_members(descriptor, place.name)
        names = {member.name for member in members}
        total = sum(member.size or 0 for member in members)
        parts = [f"<p>A {kind_of(names)} of {total:,} bytes in {sum(m.size is not None for m in members)} files.</p>"]
        if SAVED_MODEL_FILE in names:
            file = open_regular((SAVED_MODEL_FILE,), descriptor)
            with os.fdopen(file, "rb") as stream:
                if os.fstat(file).st_size <= _LARGEST_DEFINITION:
                    parts.append(_definition(stream.read(), handle, MODULE_DEF_FILE in names))
    return _page(title, "".join(parts))


def _definition(data: bytes, handle: str, is_hub_module: bool) -> str:
    try:
        variants = SavedModelFile.from_bytes(data).variants
        first = variants.get(frozenset()) or next(iter(variants.values()))
        usage = _usage(handle, first) if is_hub_module else _code(f"model = hub.load({handle!r})")
        return usage + "".join(_variant(variant) for variant in variants.values())
    except HubplugError as error:
        return f"<p>Its definition cannot be read: {escape(error.message)}</p>"


def _variant(variant: GraphVariant) -> str:
    signatures = "".join(_signature(name, signature) for name, signature in variant.signatures.items())
    variables = sorted({variable.key for variable in variant.variables if variable.trainable})
    listed = ", ".join(f"<code>{escape(name)}</code>" for name in variables[:_MOST_VARIABLES])
    more = f" and {len(variables) - _MOST_VARIABLES} more" if len(variables) > _MOST_VARIABLES else ""
    return (
        f"<h2>Graph variant {escape(variants_in_words([variant.tags]))}</h2>{signatures or '<p>No signature.</p>'}"
        f"<p>{len({variable.key for variable in variant.variables})} variables, {len(variables)} of them trainable"
        f"{': ' if listed else ''}{listed}{more}.</p>"
    )


def _signature(name: str, signature: SignatureInfo) -> str:
    rows = "".join(
        f"<tr><td>{side}</td><td><code>{escape(key)}</code></td><td>{escape(info.dtype)}</td>"
        f"<td>{escape(_shape(info))}</td></tr>"
        for side, infos in (("input", signature.inputs), ("output", signature.outputs))
        for key, info in infos.items()
    )
    head = "<tr><th></th><th>name</th><th>dtype</th><th>shape</th></tr>"
    return f"<h3>Signature <code>{escape(name)}</code></h3><table>{head}{rows}</table>"


def _shape(info: TensorInfo) -> str:
    kind = "" if info.kind == "dense" else f" {info.kind}"
    if info.shape is None:
        return f"unknown{kind}"
    return f"[{', '.join('?' if size is None else str(size) for size in info.shape)}]{kind}"


def _usage(handle: str, variant: GraphVariant | None) -> str:
    """How a program uses it, with the input names of its first signature."""
    signatures = dict(variant.signatures) if variant is not None else {}
    name = "default" if "default" in signatures or not signatures else next(iter(signatures))
    inputs = list(signatures[name].inputs) if name in signatures else ["..."]
    fed = "..." if len(inputs) == 1 else "{" + ", ".join(f"{key!r}: ..." for key in inputs) + "}"
    chosen = "" if name == "default" else f", signature={name!r}"
    tags = f", tags={sorted(variant.tags)}" if variant is not None and variant.tags else ""
    return _code(f"m = hub.Module({handle!r}{tags})\noutputs = m({fed}{chosen}, as_dict=True)")


def _code(text: str) -> str:
    return f"<pre>import hubplug as hub\n\n{escape(text)}</pre>"


def _page(title: str, body: str) -> str:
    return (
        f"<!DOCTYPE html><html lang='en'><head><meta charset='utf-8'><title>{escape(title)}</title>"
        f"<style>{_STYLE}</style></head><body><h1>{escape(title)}</h1>{body}</body></html>\n"
    )
