"""What a layer is told at its construction, and which of it does not fit together."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

DEFAULT = "default"


@dataclass(frozen=True, eq=False)
class Options:
    """The arguments of a layer; see ``KerasLayer``."""

    handle: Any
    arguments: Mapping[str, Any]
    tags: Collection[str] | None
    signature: str | None
    as_dict: bool | None
    output_key: str | None
    output_shape: Any
    load_options: Any

    @property
    def is_loaded_already(self) -> bool:
        """Whether the handle is an object, and no text to be resolved."""
        return not isinstance(self.handle, str) and (callable(self.handle) or hasattr(self.handle, "signatures"))

    def in_tf1_hub_format(self) -> Options:
        """With what is usual there: the signature ``default``, and its output ``default``."""
        signature = self.signature or DEFAULT
        if self.output_key or self.as_dict:
            return replace(self, signature=signature)
        return replace(self, signature=signature, output_key=DEFAULT)


def find_options_error(options: Options) -> str | None:
    """Says which arguments exclude each other, before anything is loaded; None if all is fine."""
    if options.is_loaded_already:
        for name in ("tags", "load_options"):
            if getattr(options, name) is not None:
                return f"Passing a callable handle is mutually exclusive with setting {name}."
    return None


def find_signature_error(options: Options, of: Any, names: Collection[str] | None) -> str | None:
    """Says what is wrong with the choice of signature and outputs.

    Args:
        options: The arguments, with the defaults of the format.
        of: What the signatures are of, for the message.
        names: Those that there are; None where the object has no notion of them.
    """
    if options.signature is None:
        if options.as_dict:
            return (
                "signature_outputs_as_dict is only valid if specifying a signature "
                "(or if the module is in TF1 Hub format)."
            )
        return None
    if bool(options.output_key) == bool(options.as_dict):
        return "When using a signature, either output_key or signature_outputs_as_dict=True should be set."
    if names is None:
        return "Loaded object has no signatures."
    if options.signature not in names:
        return f"Unknown signature {options.signature} in {of} (available signatures: {sorted(names)})."
    if options.arguments:
        return (
            f"arguments={dict(options.arguments)!r} cannot be passed on: the signature {options.signature!r} takes its "
            "inputs only."
        )
    return None
