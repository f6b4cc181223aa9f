"""The common signatures, as data.

A dimension is a number; ``batch``, which must be unknown; ``known``, which must be a number; or ``image``, which must be a
number unless an ImageModuleInfo is attached.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Dim = int | Literal["batch", "known", "image"]


@dataclass(frozen=True)
class Port:
    """What an input or output must be.

    Attributes:
        key: Its name; None where any will do.
        dtype: ``float32``, ``string``, ...
        dims: One for each dimension.
    """

    key: str | None
    dtype: str
    dims: tuple[Dim, ...]


@dataclass(frozen=True)
class Profile:
    """A common signature.

    Attributes:
        name: Of the profile.
        signatures: Those that must be there, all of this kind.
        input: The one input that each of them must have.
        output: The output that each of them must have; there may be others.
    """

    name: str
    signatures: tuple[str, ...]
    input: Port
    output: Port


_TEXTS = Port(None, "string", ("batch",))
_IMAGES = Port("images", "float32", ("batch", "image", "image", 3))
_VECTORS = Port("default", "float32", ("batch", "known"))

PROFILES = {
    profile.name: profile
    for profile in (
        Profile("text-feature-vector", ("default",), _TEXTS, _VECTORS),
        Profile("image-feature-vector", ("image_feature_vector", "default"), _IMAGES, _VECTORS),
        Profile("image-classification", ("image_classification", "default"), _IMAGES, _VECTORS),
    )
}
