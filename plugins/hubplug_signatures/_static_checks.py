"""Whether the declared signatures of a module are those of a profile. Reads the definition only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hubplug.errors import HubplugError
from hubplug.spec import ModuleSpec
from hubplug.types import Finding, SignatureInfo, TensorInfo
from hubplug_format import IMAGE_INFO_KEY, message_class
from hubplug_signatures._profiles import Dim, Port, Profile

_DIM_WORDS = {"batch": "batch", "known": "N", "image": "size"}


def check_profile(spec: ModuleSpec, profile: Profile) -> list[Finding]:
    """Every way in which a module does not keep a profile, in each of its graph variants."""
    found: list[Finding] = []
    for tags in sorted(spec.get_tags(), key=sorted):
        try:
            found.extend(_check_variant(spec, profile, tags))
        except (HubplugError, ValueError, KeyError) as error:
            said = getattr(error, "message", str(error))
            found.append(Finding(f"{profile.name}/unreadable", "error", said, tags))
    if not spec.get_tags():
        found.append(Finding(f"{profile.name}/unreadable", "error", "the module has no graph variant"))
    return found


def _check_variant(spec: ModuleSpec, profile: Profile, tags: frozenset[str]) -> Iterator[Finding]:
    signatures = spec.signatures(tags)
    sized = _image_size(spec, tags) is not None
    for name in profile.signatures:
        if name not in signatures:
            there = ", ".join(repr(other) for other in signatures) or "none"
            said = f"there is no signature {name!r}, which the profile needs; signatures here: {there}"
            yield Finding(f"{profile.name}/signature", "error", said, tags, name)
            continue
        for finding in _check_signature(profile, signatures[name], sized):
            yield Finding(finding.rule, finding.level, finding.message, tags, name, finding.where)


def _check_signature(profile: Profile, signature: SignatureInfo, sized: bool) -> Iterator[Finding]:
    if len(signature.inputs) != 1:
        said = f"it has {len(signature.inputs)} inputs{_listed(signature.inputs)}, expected exactly one"
        yield Finding(f"{profile.name}/input-count", "error", said)
    wanted = profile.input
    key = wanted.key if wanted.key is not None else next(iter(signature.inputs), None)
    if key is not None and key in signature.inputs:
        if wanted.key is not None or len(signature.inputs) == 1:
            yield from _check_port(f"{profile.name}/input", "input", key, signature.inputs[key], wanted, sized)
    elif wanted.key is not None:
        said = f"there is no input {wanted.key!r}; inputs here{_listed(signature.inputs) or ': none'}"
        yield Finding(f"{profile.name}/input-name", "error", said, where=wanted.key)
    output = profile.output
    assert output.key is not None
    if output.key in signature.outputs:
        yield from _check_port(
            f"{profile.name}/output", "output", output.key, signature.outputs[output.key], output, sized
        )
    else:
        said = f"there is no output {output.key!r}; outputs here{_listed(signature.outputs) or ': none'}"
        yield Finding(f"{profile.name}/output-name", "error", said, where=output.key)
    for other in sorted(signature.outputs):
        if other != output.key and "/" not in other:
            said = f"the further output {other!r} has no prefix: call it <architecture>/{other}"
            yield Finding(f"{profile.name}/output-prefix", "warning", said, where=other)


def _check_port(rule: str, side: str, key: str, info: TensorInfo, wanted: Port, sized: bool) -> Iterator[Finding]:
    if info.kind != "dense":
        yield Finding(f"{rule}-kind", "error", f"{side} {key!r} is {info.kind}, expected a dense tensor", where=key)
        return
    if info.dtype != wanted.dtype:
        said = f"{side} {key!r} has the dtype {info.dtype}, expected {wanted.dtype}"
        yield Finding(f"{rule}-dtype", "error", said, where=key)
    if error := _find_shape_error(info.shape, wanted.dims, sized):
        said = f"{side} {key!r} has the shape {_shape_words(info.shape)}, expected {_dims_words(wanted.dims)}: {error}"
        yield Finding(f"{rule}-shape", "error", said, where=key)


def _find_shape_error(shape: tuple[int | None, ...] | None, dims: tuple[Dim, ...], sized: bool) -> str | None:
    if shape is None:
        return "the rank must be known"
    if len(shape) != len(dims):
        return f"the rank is {len(shape)}, not {len(dims)}"
    for position, (size, wanted) in enumerate(zip(shape, dims, strict=True)):
        if wanted == "batch" and size is not None:
            return f"dimension {position}, the batch, must be unknown"
        if wanted == "known" and size is None:
            return f"dimension {position} must be known"
        if wanted == "image" and size is None and not sized:
            return f"dimension {position} must be known, or an ImageModuleInfo attached"
        if isinstance(wanted, int) and size != wanted:
            return f"dimension {position} must be {wanted}"
    return None


def _image_size(spec: ModuleSpec, tags: frozenset[str]) -> tuple[int, int] | None:
    data = spec.attached_bytes(IMAGE_INFO_KEY, tags)
    if data is None:
        return None
    try:
        size = message_class("ImageModuleInfo").FromString(data).default_image_size
    except Exception as error:
        raise ValueError(f"the attached {IMAGE_INFO_KEY} is damaged") from error
    return (size.height, size.width) if size.height > 0 and size.width > 0 else None


def _shape_words(shape: tuple[int | None, ...] | None) -> str:
    if shape is None:
        return "<unknown rank>"
    return "[" + ", ".join("?" if size is None else str(size) for size in shape) + "]"


def _dims_words(dims: tuple[Dim, ...]) -> str:
    return "[" + ", ".join(str(dim) if isinstance(dim, int) else _DIM_WORDS[dim] for dim in dims) + "]"


def _listed(infos: Mapping[str, TensorInfo]) -> str:
    return ": " + ", ".join(repr(key) for key in infos) if infos else ""
