"""What a module is, before and after it is put into a graph: ``ModuleSpec`` and ``ModuleImpl``.

A format plugin subclasses ``ModuleSpec``. What needs no TensorFlow (tags, signatures, attachments) is read without it;
``instantiate`` is where a graph is first touched.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Protocol

from hubplug.types import SignatureInfo


class ModuleImpl(Protocol):
    """The state of one module in one graph."""

    @property
    def variable_map(self) -> dict[str, Any]:
        """Name in the module -> Variable, or list of Variables for a partitioned one."""

    def apply(self, inputs: Any, signature: str | None, as_dict: bool | None) -> Any:
        """Adds one application of a signature to the current graph; see ``Module.__call__``."""

    def export(self, path: str, session: Any) -> None:
        """Writes the module with the values that ``session`` holds; see ``Module.export``."""


class ModuleSpec:
    """The definition of a module: its graph variants and their signatures, from which Modules are made."""

    def get_tags(self) -> list[frozenset[str]]:
        """The sets of tags that identify the graph variants."""
        raise NotImplementedError

    def signatures(self, tags: Collection[str] | None = None) -> Mapping[str, SignatureInfo]:
        """Every signature of a graph variant, described without TensorFlow types.

        Args:
            tags: The graph variant; None stands for the one without tags.

        Raises:
            UnknownTagsError: There is no such graph variant.
        """
        raise NotImplementedError

    def get_signature_names(self, tags: Collection[str] | None = None) -> list[str]:
        """The names of the signatures of a graph variant.

        Raises:
            UnknownTagsError: There is no such graph variant. It is a KeyError and a ValueError.
        """
        return list(self.signatures(tags))

    def get_input_info_dict(self, signature: str | None = None, tags: Collection[str] | None = None) -> dict[str, Any]:
        """Describes the inputs that a signature requires.

        Args:
            signature: Its name; None stands for ``default``.
            tags: The graph variant; None stands for the one without tags.

        Returns:
            By input name an object with ``dtype`` (a ``tf.DType``), ``get_shape()`` (a ``tf.TensorShape``),
            ``is_sparse`` and ``type_spec``.

        Raises:
            UnknownTagsError: There is no such graph variant.
            UnknownSignatureError: There is no such signature. It is a KeyError and a ValueError.
        """
        raise NotImplementedError

    def get_output_info_dict(self, signature: str | None = None, tags: Collection[str] | None = None) -> dict[str, Any]:
        """Describes the outputs that a signature provides; as ``get_input_info_dict``."""
        raise NotImplementedError

    def describe(self) -> dict[str, Any]:
        """What a person wants to know at a glance, as plain data for JSON; formats add what they know."""
        return {
            "format": type(self).__name__,
            "variants": [
                {"tags": sorted(tags), "signatures": {name: _plain(s) for name, s in self.signatures(tags).items()}}
                for tags in sorted(self.get_tags(), key=sorted)
            ],
        }

    def attached_bytes(self, key: str, tags: Collection[str] | None = None) -> bytes | None:
        """The serialized message attached under ``key``, or None.

        Raises:
            UnknownTagsError: There is no such graph variant.
        """
        raise NotImplementedError

    def get_attached_message(
        self, key: str, message_type: type[Any], tags: Collection[str] | None = None, required: bool = False
    ) -> Any:
        """The message that the publisher attached to a graph variant under ``key``.

        Args:
            key: Its name.
            message_type: The protocol buffer class to parse it as.
            tags: The graph variant; None stands for the one without tags.
            required: Whether its absence is an error.

        Returns:
            A new ``message_type``, or None where there is none.

        Raises:
            KeyError: It is required and not there, or there is no such graph variant.
        """
        data = self.attached_bytes(key, tags)
        if data is None:
            if required:
                raise KeyError(f"No message is attached under {key!r} in the graph variant {sorted(tags or ())}")
            return None
        message = message_type()
        message.ParseFromString(data)
        return message

    def check_instantiable(self) -> None:
        """Says what else it is, when it can be shown and validated, but not be made a Module.

        Raises:
            FormatError: No Module can be made of it.
        """

    def instantiate(self, name: str, trainable: bool, tags: frozenset[str]) -> ModuleImpl:
        """Adds the module's state to the current graph under an unused variable scope made from ``name``.

        Raises:
            UnknownTagsError: There is no such graph variant.
        """
        raise NotImplementedError

    def export(
        self,
        path: str,
        _sentinel: Any = None,
        checkpoint_path: str | None = None,
        name_transform_fn: Callable[[str], str] | None = None,
    ) -> None:
        """Writes the module with the values of a separately trained checkpoint.

        Args:
            path: The directory to be made, or a URL that a plugin publishes to; nothing may be there already.
            _sentinel: Not used; the arguments after it are given by name.
            checkpoint_path: A checkpoint, or a directory of checkpoints of which the latest is taken.
            name_transform_fn: Maps the name of a variable in the module to its name in the checkpoint; None: equal.

        Raises:
            ValueError: ``checkpoint_path`` is missing, or the module has no graph variant without tags.
            OccupiedError: Something is there already.
            ExportError: The place cannot be written; nothing was kept, or what remains is named.
            NobodyAnswered: No plugin publishes to such a URL.
        """
        from hubplug.hub import current_hub
        from hubplug.types import ExportRequest

        if not checkpoint_path:
            raise ValueError("Missing mandatory 'checkpoint_path' parameter: the checkpoint that holds the values")
        current_hub().export(
            ExportRequest(self, path, checkpoint_path=checkpoint_path, name_transform_fn=name_transform_fn)
        )


def _plain(signature: SignatureInfo) -> dict[str, Any]:
    return {
        side: {
            key: {"dtype": info.dtype, "shape": None if info.shape is None else list(info.shape), "kind": info.kind}
            for key, info in tensors.items()
        }
        for side, tensors in (("inputs", signature.inputs), ("outputs", signature.outputs))
    }


def variants_in_words(variants: Sequence[Collection[str]]) -> str:
    """Graph variants as a person reads them: ``[] (inference), ['train']``."""
    return ", ".join(f"{sorted(tags)}" if tags else "[] (inference)" for tags in sorted(variants, key=sorted))
