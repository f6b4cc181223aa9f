"""Which ops reach outside of a graph, and when an attribute makes one of them harmless.

Everything is denied that is not known to be harmless: an op without a class as much as one whose class says what it does.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from hubplug_format import OpClass, OpRegistry

# Op -> the attribute that decides; the values with which the op touches nothing outside, the default among them; and
# beginnings of such values. Then it is worth a note only.
_HARMLESS: dict[str, tuple[str, frozenset[bytes], tuple[bytes, ...]]] = {
    "PrintV2": (
        "output_stream",
        frozenset({b"stderr", b"stdout", b"log(info)", b"log(warning)", b"log(error)"}),
        (),
    ),
    "FixedUnigramCandidateSampler": ("vocab_file", frozenset({b""}), ()),
    "DecodeProtoV2": ("descriptor_source", frozenset({b"", b"local://"}), (b"bytes://",)),
    "EncodeProto": ("descriptor_source", frozenset({b"", b"local://"}), (b"bytes://",)),
}


@cache
def quiet_ops() -> frozenset[str]:
    """The op types that every module may have."""
    registry = OpRegistry.bundled()
    return frozenset(op for op in registry.names if judge(op) is None)


def judge(op: str) -> OpClass | None:
    """What an op of a module can do; None for one that only computes.

    An op type that TensorFlow does not have is one of class ``unknown-op``.
    """
    registry = OpRegistry.bundled()
    found = registry.class_of(op)
    if found is not None:
        return None if found.level == "allowed" else found
    package = registry.package_of(op)
    from_where = f"it comes with the package {package}" if package else "no package is known to have it"
    return OpClass(
        "unknown-op", "error", f"is not one of TensorFlow's, so nothing is known of what it does; {from_where}"
    )


def is_harmless_as_configured(node: Any, stripped: bool) -> bool:
    """Whether the attributes of a node of the list prove that it touches nothing outside.

    Args:
        node: A NodeDef message.
        stripped: Whether attributes with default values were left out when the graph was written, as exporters do and say.
            Where that is not said, a missing attribute proves nothing: no exporter writes such a graph.
    """
    if node.op not in _HARMLESS:
        return False
    attr, values, beginnings = _HARMLESS[node.op]
    if attr not in node.attr:
        return stripped
    value = node.attr[attr]
    return value.WhichOneof("value") == "s" and (value.s in values or value.s.startswith(beginnings))
