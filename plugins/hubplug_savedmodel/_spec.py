"""``SavedModelSpec``: the definition of a plain SavedModel, which can be shown and validated, but not be instantiated."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NoReturn

from hubplug.errors import FormatError, needs
from hubplug.spec import ModuleImpl, ModuleSpec
from hubplug.types import SignatureInfo
from hubplug_format import SavedModelFile, describe_directory

# TensorFlow keeps the ops that initialize a SavedModel as signatures of these names.
_PSEUDO = "__saved_model_"


class SavedModelSpec(ModuleSpec):
    """A plain SavedModel.

    Attributes:
        directory: Where it lies.
        kind: ``TF1 SavedModel`` or ``TF2 SavedModel``.
    """

    def __init__(self, model: SavedModelFile, directory: Path) -> None:
        self._model = model
        self.directory = directory
        objects = any(variant.has_object_graph for variant in model.variants.values())
        self.kind = "TF2 SavedModel" if objects else "TF1 SavedModel"

    @classmethod
    def load(cls, directory: Path) -> SavedModelSpec:
        """Reads the definition, but neither graph nor values.

        Raises:
            FormatError: It is damaged.
        """
        return cls(SavedModelFile.read(directory), directory)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self).load, (self.directory,), {"hub": self.hub}

    def place(self) -> str:
        return str(self.directory)

    def get_tags(self) -> list[frozenset[str]]:
        return list(self._model.variants)

    def signatures(self, tags: Collection[str] | None = None) -> Mapping[str, SignatureInfo]:
        found = self._model.variant(tags).signatures
        return {name: signature for name, signature in found.items() if not name.startswith(_PSEUDO)}

    def attached_bytes(self, key: str, tags: Collection[str] | None = None) -> bytes | None:
        return self._model.variant(tags).attachments.get(key)

    def describe(self) -> dict[str, Any]:
        return {**super().describe(), "format": self.kind, **describe_directory(self.directory)}

    def get_input_info_dict(self, signature: str | None = None, tags: Collection[str] | None = None) -> NoReturn:
        self._refuse()

    def get_output_info_dict(self, signature: str | None = None, tags: Collection[str] | None = None) -> NoReturn:
        self._refuse()

    def instantiate(self, name: str, trainable: bool, tags: frozenset[str]) -> ModuleImpl:
        self._refuse()

    def load_object(self, tags: Collection[str] | None = None, options: Any = None) -> Any:
        with needs("tensorflow", "tensorflow"):
            from hubplug_savedmodel._loading import load

        return load(self.directory, self.get_tags(), tags, options)

    def check_instantiable(self) -> NoReturn:
        self._refuse()

    def _refuse(self) -> NoReturn:
        advice = f"load it with hubplug.load({str(self.directory)!r})"
        if self.kind == "TF1 SavedModel":
            advice += f", or make it a module with hubplug.create_module_spec_from_saved_model({str(self.directory)!r})"
        kind: type[FormatError] = FormatError
        if "tensorflow" in sys.modules:  # whoever catches a type of TensorFlow has it
            from hubplug_savedmodel._errors import NotInHubFormatError as kind
        raise kind(f"{self.directory} is a {self.kind}, not in TF1 Hub format (it has no tfhub_module.pb)", hint=advice)
