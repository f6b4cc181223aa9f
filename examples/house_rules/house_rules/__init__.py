"""A company's rules for modules: every signature takes a batch, and nothing is computed in float64."""

from __future__ import annotations

import hubplug
from hubplug.types import Finding

PROFILE = "house"


class HouseRules:
    """Knows the profile ``house``."""

    profiles = (PROFILE,)

    def __init__(self, *, allow_float64: bool = False) -> None:
        self._allow_float64 = allow_float64

    @hubplug.hookimpl
    def hubplug_validate(self, spec: hubplug.ModuleSpec, profile: str) -> list[Finding] | None:
        if profile != PROFILE:
            return None
        found = []
        for tags in spec.get_tags():
            for name, signature in spec.signatures(tags).items():
                for key, info in signature.inputs.items():
                    if info.shape is not None and info.shape[:1] != (None,):
                        message = f"the input has the shape {list(info.shape)}, expected a batch: [None, ...]"
                        found.append(Finding(f"{PROFILE}/batch", "error", message, tags, name, key))
                for key, info in [*signature.inputs.items(), *signature.outputs.items()]:
                    if info.dtype == "float64" and not self._allow_float64:
                        message = "the dtype is float64, expected float32"
                        found.append(Finding(f"{PROFILE}/float64", "error", message, tags, name, key))
        return found
