"""``GraphSpec``: the definition of a module in TF1 Hub format, from disk or from ``create_module_spec``.

What it says of itself (tags, signatures, attachments) is read without TensorFlow; a graph is parsed when someone
instantiates it.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from hubplug.errors import FormatError, UnknownTagsError, needs
from hubplug.files.locks import ForkLock
from hubplug.settings.config import environment_switch
from hubplug.shown.logs import logger
from hubplug.spec import ModuleImpl, ModuleSpec, variants_in_words
from hubplug.types import SignatureInfo
from hubplug.urls import scheme_of
from hubplug_format import (
    MODULE_DEF_FILE,
    SAVED_MODEL_FILE,
    GraphVariant,
    SavedModelFile,
    describe_directory,
    read_module_def,
)
from hubplug_tf1._reading.asset_names import check_filenames
from hubplug_tf1._reading.collections import find_collections_error
from hubplug_tf1._reading.refusals import reading

if TYPE_CHECKING:
    from hubplug_tf1._graph.variant import Variant

_LOG = logger(__name__)
_TRAIN = frozenset({"train"})
_TRAINABLE_VARIABLES = "trainable_variables"

T = TypeVar("T")


class GraphSpec(ModuleSpec):
    """The graph variants of a module, and the directory that has its variables and assets.

    Pickles and copies; may be used in any number of graphs and threads. Two specs are equal only if they are the same.

    Attributes:
        root: Path or URL of the directory that has ``variables/`` and ``assets/``, as it was given: a relative one stays
            relative; None for a module that was made in this process.
        rest: The encoding of what its ``saved_model.pb`` holds besides graph variants, for a re-export.
    """

    def __init__(
        self,
        variants: Iterable[GraphVariant],
        root: str | None = None,
        import_whole_graph: bool = False,
        rest: bytes = b"",
    ) -> None:
        """Checks the graph variants.

        Raises:
            FormatError: A variant has a collection that no module may have, or an asset file outside ``assets/``.
        """
        self.root = root
        self.rest = rest
        self._import_whole_graph = import_whole_graph
        self._variants = {variant.tags: variant for variant in variants}
        for variant in self._variants.values():
            kept = (name for name, about in variant.collections.items() if about.size)
            if error := find_collections_error(kept):
                raise FormatError(
                    f"{error} of {variant.where}",
                    hint="make it a module with create_module_spec_from_saved_model(path, drop_collections=[...])",
                )
            check_filenames(variant.assets, variant.where)
        self._prepared: dict[frozenset[str], Variant] = {}
        self._lock = ForkLock()

    def place(self) -> str | None:
        return self.root

    @classmethod
    def load(cls, directory: Path, *, import_whole_graph: bool = False) -> GraphSpec:
        """Reads a module's directory, but for the values of its variables.

        Raises:
            FormatError: It is damaged, or of a format that hubplug does not know.
        """
        with reading(directory / MODULE_DEF_FILE):
            read_module_def(directory)
        with reading(directory / SAVED_MODEL_FILE):
            saved_model = SavedModelFile.read_file(directory / SAVED_MODEL_FILE)
        return cls(saved_model.variants.values(), os.fspath(directory), import_whole_graph, saved_model.rest)

    def __reduce__(self) -> tuple[Any, ...]:
        arguments = (list(self._variants.values()), self.root, self._import_whole_graph, self.rest)
        return type(self), arguments, {"hub": self.hub}

    @property
    def directory(self) -> Path | None:
        """The local directory that the module was read from; None where there is none."""
        return None if self.root is None or scheme_of(self.root) else Path(self.root)

    @property
    def checkpoint(self) -> str | None:
        """The prefix of the checkpoint with the variables' values; None where their own initializers give them."""
        return None if self.root is None else os.path.join(self.root, "variables", "variables")

    def get_tags(self) -> list[frozenset[str]]:
        return list(self._variants)

    def variant(self, tags: Collection[str] | None = None) -> GraphVariant:
        """The graph variant with exactly these tags.

        Raises:
            UnknownTagsError: There is none.
        """
        asked = frozenset(tags or ())
        if asked not in self._variants:
            whole = {tag for tags in self._variants for tag in tags if len(tag) > 1 and frozenset(tag) == asked}
            raise UnknownTagsError(
                f"No such graph variant: tags={sorted(asked) if tags is not None else None}. "
                f"Graph variants here: {variants_in_words(list(self._variants))}",
                hint=f"tags are given as a set: tags={whole}" if whole else "give the tags of one of them",
            )
        return self._variants[asked]

    def variants(self) -> list[GraphVariant]:
        """All graph variants, in the order of the file."""
        return list(self._variants.values())

    def signatures(self, tags: Collection[str] | None = None) -> Mapping[str, SignatureInfo]:
        return self.variant(tags).signatures

    def get_input_info_dict(self, signature: str | None = None, tags: Collection[str] | None = None) -> dict[str, Any]:
        return dict(self.prepare(tags).signature("default" if signature is None else signature).inputs)

    def get_output_info_dict(self, signature: str | None = None, tags: Collection[str] | None = None) -> dict[str, Any]:
        return dict(self.prepare(tags).signature("default" if signature is None else signature).outputs)

    def attached_bytes(self, key: str, tags: Collection[str] | None = None) -> bytes | None:
        return self.variant(tags).attachments.get(key)

    def describe(self) -> dict[str, Any]:
        about = {**super().describe(), "format": "TF1 Hub format"}
        return about if self.directory is None else {**about, **describe_directory(self.directory)}

    def instantiate(self, name: str, trainable: bool, tags: frozenset[str]) -> ModuleImpl:
        with needs("tensorflow", "tensorflow"):
            from hubplug_tf1._application import instance as _instance
            from hubplug_tf1._eager import instance as _eager
            from hubplug_tf1._surroundings.eager import has_eager_state

        variant = self.prepare(tags)
        if trainable and not tags and _TRAIN in self._variants:
            _LOG.warning(
                "This module has a graph variant for training, and the one for inference is being made trainable: "
                'give tags={"train"} to train it as its publisher intended'
            )
        if trainable and not self.variant(tags).collection(_TRAINABLE_VARIABLES):
            _LOG.warning("trainable=True, and the graph variant %s has no trainable variables", sorted(tags))
        instantiate: Any = _eager.instantiate
        if not has_eager_state():
            whole = self._import_whole_graph or environment_switch("HUBPLUG_IMPORT_WHOLE_GRAPH")
            instantiate = partial(_instance.instantiate, import_whole_graph=whole)
        made: ModuleImpl = instantiate(
            self, variant, name=name, trainable=trainable, tags=tags, checkpoint=self.checkpoint
        )
        return made

    def module_class(self, kind: type[T]) -> type[T]:
        with needs("tensorflow", "tensorflow"):
            from hubplug_tf1._eager.module import eager_class
            from hubplug_tf1._surroundings.eager import has_eager_state

        return cast("type[T]", eager_class(cast(Any, kind))) if has_eager_state() else kind

    def load_object(self, tags: Collection[str] | None = None, options: Any = None) -> Any:
        with needs("tensorflow", "tensorflow"):
            from hubplug_tf1._reading import loading as _loading

        return _loading.load(self, tags, options)

    def prepare(self, tags: Collection[str] | None) -> Variant:
        """The graph variant as the graph side uses it, parsed once."""
        found = self.variant(tags)
        with self._lock:
            if found.tags not in self._prepared:
                with needs("tensorflow", "tensorflow"):
                    from hubplug_tf1._graph.variant import Variant
                    from hubplug_tf1._reading.assets import put_paths
                    from hubplug_tf1._reading.saved_model import meta_graph_of

                meta_graph = meta_graph_of(found)
                if self.root is not None:
                    put_paths(meta_graph, found.assets, self.root)
                self._prepared[found.tags] = Variant(meta_graph)
            return self._prepared[found.tags]
