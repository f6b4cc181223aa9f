"""The plugin ``savedmodel``: plain SavedModels, of TF1 and TF2.

A plain SavedModel is not a module in TF1 Hub format: its signatures can be shown, and it can be loaded; to be made a Module it
needs ``create_module_spec_from_saved_model``. The plugin also says what a directory holds that is neither.
"""

from __future__ import annotations

import os

from hubplug.hookspecs import hookimpl
from hubplug.spec import ModuleSpec
from hubplug.types import Declined, LocalModule

_MARKER = "tfhub_module.pb"
_FILES = ("saved_model.pb", "saved_model.pbtxt", "saved_model.cpb")


class SavedModel:
    """Recognizes plain SavedModels."""

    @hookimpl
    def hubplug_load_format(self, module: LocalModule) -> ModuleSpec | Declined | None:
        """Reads the definition of a directory that has ``saved_model.pb``, but no ``tfhub_module.pb``.

        Raises:
            FormatError: It is damaged.
        """
        if any(os.path.lexists(module.path / name) for name in _FILES):
            if os.path.lexists(module.path / _MARKER):
                return Declined(f"{module.path} has {_MARKER}: it is in TF1 Hub format, not a plain SavedModel")
            from hubplug_savedmodel._spec import SavedModelSpec

            return SavedModelSpec.load(module.path)
        from hubplug_savedmodel._probing import what_is_there

        return Declined(what_is_there(module.path))
