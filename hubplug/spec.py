"""What a module is, before and after it is put into a graph: ``ModuleSpec`` and ``ModuleImpl``.

A format plugin subclasses ``ModuleSpec``. What needs no TensorFlow (tags, signatures, attachments) is read without it;
``instantiate`` is where a graph is first touched.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import hubplug
from hubplug.errors import FormatError, PluginError, UnknownSignatureError
from hubplug.types import LocalModule, SignatureInfo
from hubplug.urls import redact

T = TypeVar("T")


class ModuleImpl(Protocol):
    """The state of one module in one graph."""

    @property
    def variable_map(self) -> dict[str, Any]:
        """Name in the module -> Variable, or list of Variables for a partitioned one."""

    def apply(self, inputs: Any, signature: str | None, as_dict: bool | None) -> Any:
        """Adds one application of a signature to the current graph; see ``Module.__call__``."""

    def request_export(self, path: str, session: Any) -> ExportRequest:
        """What is to be written when the module is exported with the values of a session; see ``Module.export``.

        Raises:
            HubplugError: ``session`` cannot have the values of this module.
        """


class Exporter(Protocol):
    """Who writes modules: a Hub."""

    def export(self, request: ExportRequest) -> None: ...


class ModuleSpec:
    """The definition of a module: its graph variants and their signatures, from which Modules are made.

    Attributes:
        hub: The Hub that loaded it, which its exports ask; None for one that no Hub loaded. Pickled with it.
        module: The directory that the Hub read it from, and where its files came from; None without a Hub.
        places: The URLs by which it was asked for and found: those that the prefixes of a configuration are compared with. They may hold
            secrets.
    """

    hub: Exporter | None = None
    module: LocalModule | None = None
    places: Sequence[str] = ()

    def __repr__(self) -> str:
        name = type(self).__name__
        try:
            place = self.place()
            variants = [
                f"{variants_in_words([tags])} with {', '.join(self.get_signature_names(tags)) or 'no signature'}"
                for tags in sorted(self.get_tags(), key=sorted)
            ]
        except Exception as error:  # of one that is half made: a debugger shows these, too
            return f"<{name}, which cannot be described: {type(error).__name__}>"
        return f"<{name}{f' at {redact(place)}' if place else ''}: {'; '.join(variants) or 'no graph variant'}>"

    def place(self) -> str | None:
        """Path or URL of where it lies, for its ``repr``; None for what lies nowhere."""
        return None

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
        return self._tensors("inputs", signature, tags)

    def get_output_info_dict(self, signature: str | None = None, tags: Collection[str] | None = None) -> dict[str, Any]:
        """Describes the outputs that a signature provides; as ``get_input_info_dict``."""
        return self._tensors("outputs", signature, tags)

    def _tensors(self, side: str, signature: str | None, tags: Collection[str] | None) -> dict[str, Any]:
        name, known = "default" if signature is None else signature, self.signatures(tags)
        if name not in known:
            raise UnknownSignatureError(f"There is no signature {name!r}", hint=f"there are: {sorted(known)}")
        return {key: hubplug.describe_tensor(info) for key, info in getattr(known[name], side).items()}

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

    def load_object(self, tags: Collection[str] | None = None, options: Any = None) -> Any:
        """As a TensorFlow 2 object, with its values; what ``hubplug.load`` returns.

        Args:
            tags: The graph variant; None stands for the one that there is, or the usual one of the format.
            options: A ``tf.saved_model.LoadOptions``, or None.

        Returns:
            A trackable object with an attribute ``_is_hub_module_v1``, whether it is in TF1 Hub format.

        Raises:
            UnknownTagsError: There is no such graph variant.
            FormatError: No object can be made of it.
        """
        raise FormatError(f"{self!r} cannot be loaded as an object", hint="apply it with hubplug.Module")

    def check_instantiable(self) -> None:
        """Says what else it is, when it can be shown and validated, but not be made a Module.

        Raises:
            FormatError: No Module can be made of it.
        """

    def module_class(self, kind: type[T]) -> type[T]:
        """The class of a Module of this spec that is being made: ``kind``, or a subclass that can more."""
        return kind

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
            PluginError: No Hub loaded this spec, and its ``hub`` was not set.
        """
        if not checkpoint_path:
            raise ValueError("Missing mandatory 'checkpoint_path' parameter: the checkpoint that holds the values")
        if self.hub is None:
            raise PluginError(
                f"This {type(self).__name__} was not loaded by a Hub, so it does not know who writes it",
                hint="set spec.hub = hubplug.Hub(...), or spec.hub = hubplug.hub_in_effect for the one in effect then",
            )
        self.hub.export(ExportRequest(self, path, checkpoint_path=checkpoint_path, name_transform_fn=name_transform_fn))


@dataclass(frozen=True, eq=False)
class ExportRequest:
    """A module to be written.

    Attributes:
        spec: The definition.
        path: The directory that is to hold the module, or a URL.
        session: A ``tf.compat.v1.Session`` with the variables' values; None when they come from a checkpoint.
        variables: Name in the module -> Variable, or list of Variables, of the graph of ``session``.
        tags: The graph variant that ``variables`` belong to.
        checkpoint_path: A checkpoint with the values, or None.
        name_transform_fn: Name in the module -> name in the checkpoint.
    """

    spec: ModuleSpec
    path: str
    session: Any = None
    variables: Mapping[str, Any] | None = None
    tags: frozenset[str] = frozenset()
    checkpoint_path: str | None = None
    name_transform_fn: Callable[[str], str] | None = None


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
