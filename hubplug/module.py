"""``Module``: the thin facade over a spec and its implementation in the current graph."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hubplug.api import load_module_spec
from hubplug.errors import PluginError
from hubplug.in_effect import hub_in_effect
from hubplug.spec import ModuleSpec


class Module:
    """A published piece of a graph, in the current graph or under eager execution.

    Making one adds its state (variables, tables) under an unused variable scope; calling it adds an application of one
    of its signatures, as often as wanted, over that same state. Under eager execution the state is there at once, and a
    call computes (docs/eager.md)::

        m = hubplug.Module("https://example.com/text-embedding/1")
        embeddings = m(["a sentence", "another one"])
    """

    def __init__(
        self,
        spec: ModuleSpec | str,
        trainable: bool = False,
        name: str = "module",
        tags: Iterable[str] | None = None,
    ) -> None:
        """Adds the module's state to the current graph.

        Args:
            spec: A ModuleSpec, or a handle (URL or path) to load one from.
            trainable: Whether its variables go into TRAINABLE_VARIABLES and its regularization losses into
                REGULARIZATION_LOSSES.
            name: The variable scope, made unique: ``module``, ``module_1``, ...
            tags: The graph variant; None stands for the one without tags.

        Raises:
            ValueError: ``spec`` is neither, or there is no such graph variant (UnknownTagsError).
            RuntimeError: The variable scope is free but the name scope is taken.
            tf.errors.NotFoundError: The graph needs ops that this process does not have.
            HubplugError: The handle could not be resolved or loaded.
        """
        self._spec = _as_spec(spec)
        self._tags = frozenset(tags or ())
        self.__class__ = self._spec.module_class(type(self))
        self._impl = self._spec.instantiate(name, bool(trainable), self._tags)
        for needed in ("apply", "variable_map", "request_export"):
            if not hasattr(self._impl, needed):
                kind = type(self._spec)
                raise PluginError(
                    f"{kind.__module__}.{kind.__qualname__}.instantiate returned {type(self._impl).__name__}, which has no "
                    f"{needed!r}",
                    hint="this is a mistake in the plugin that read the module; see ModuleImpl in docs/hooks.md",
                )

    def __repr__(self) -> str:
        return f"<Module {self._impl!r} of {self._spec!r}>"

    def __call__(
        self,
        inputs: Any = None,
        _sentinel: Any = None,
        signature: str | None = None,
        as_dict: bool | None = None,
    ) -> Any:
        """Applies a signature in the current graph.

        Args:
            inputs: A dict from input names to what converts to their tensors; or a single value where the signature has
                one input; or nothing where it has none.
            _sentinel: Not used; the arguments after it are given by name.
            signature: Its name; None stands for ``default``.
            as_dict: Whether to return all outputs.

        Returns:
            A dict of all outputs with ``as_dict``; otherwise the output named ``default``.

        Raises:
            TypeError: Inputs or outputs do not fit the signature (InputError).
            ValueError: There is no such signature (UnknownSignatureError), or a dtype does not fit.
            RuntimeError: The module was made in another graph.
        """
        return self._impl.apply(inputs, signature, as_dict)

    @property
    def variable_map(self) -> dict[str, Any]:
        """Name in the module -> Variable, or list of Variables for a partitioned one.

        Usable as ``assignment_map`` of ``tf.compat.v1.train.init_from_checkpoint``. The same dict each time.
        """
        return self._impl.variable_map

    @property
    def variables(self) -> list[Any]:
        """All variables of the module, in the order of their names in it."""
        found: list[Any] = []
        for _, variable in sorted(self.variable_map.items()):
            found.extend(variable if isinstance(variable, list) else [variable])
        return found

    def export(self, path: str, session: Any) -> None:
        """Writes the module with the values that ``session`` holds.

        Args:
            path: The directory, or a URL that a plugin publishes to. Where a directory has other files, those stay; where
                it has any of the names of a module's own, nothing is written.
            session: A ``tf.compat.v1.Session`` over the graph of this module; none where its state is eager.

        Raises:
            OccupiedError: Something is there already; with TensorFlow's formats a ``tf.errors.AlreadyExistsError`` too.
            ExportError: The place cannot be written; nothing was kept, or what remains is named.
            NobodyAnswered: No plugin publishes to such a URL.
        """
        (self._spec.hub or hub_in_effect).export(self._impl.request_export(path, session))

    def get_signature_names(self) -> list[str]:
        """The names of the signatures."""
        return self._spec.get_signature_names(self._tags)

    def get_input_info_dict(self, signature: str | None = None) -> dict[str, Any]:
        """Describes the inputs that a signature requires; see ``ModuleSpec.get_input_info_dict``."""
        return self._spec.get_input_info_dict(signature, self._tags)

    def get_output_info_dict(self, signature: str | None = None) -> dict[str, Any]:
        """Describes the outputs that a signature provides; see ``ModuleSpec.get_output_info_dict``."""
        return self._spec.get_output_info_dict(signature, self._tags)

    def get_attached_message(self, key: str, message_type: type[Any], required: bool = False) -> Any:
        """The message attached to this graph variant; see ``ModuleSpec.get_attached_message``."""
        return self._spec.get_attached_message(key, message_type, self._tags, required)


def _as_spec(spec: ModuleSpec | str) -> ModuleSpec:
    if isinstance(spec, ModuleSpec):
        return spec
    if isinstance(spec, str):
        return load_module_spec(spec)
    raise ValueError(f"Unknown module spec type: {type(spec)}. Give a handle (str(path) for a path) or a ModuleSpec.")
