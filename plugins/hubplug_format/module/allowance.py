"""How much a definition may hold, so that reading it takes a second at the most, whatever it is.

Graphs do not count: they are only read when someone asks for them.
"""

from __future__ import annotations

from dataclasses import dataclass

from hubplug.errors import FormatError


@dataclass
class Allowance:
    """What is left for all graph variants of one file together.

    Attributes:
        variants: Graph variants.
        fields: Of the outermost messages: collections, signatures, assets, ...
        items: Of collections, messages among them counted twice, and tags and names of ops.
        tensors: Of signatures, with their dimensions.
        collections: Bytes of all collections.
        others: Bytes of all but the collections and the graphs.
    """

    variants: int = 1_000
    fields: int = 50_000
    items: int = 200_000
    tensors: int = 50_000
    collections: int = 24 << 20
    others: int = 4 << 20

    def take(self, kind: str, count: int, where: str) -> None:
        """Takes some of it.

        Raises:
            FormatError: That is more than is left.
        """
        left = getattr(self, kind) - count
        setattr(self, kind, left)
        if left < 0:
            raise FormatError(
                f"{where} has more than a module can have: more than {getattr(Allowance, kind)} {_WORDS[kind]}",
                hint="fetch or export the module again; no exporter writes so many",
            )


_WORDS = {
    "variants": "graph variants",
    "fields": "collections, signatures and assets",
    "items": "items in its collections",
    "tensors": "tensors and dimensions in its signatures",
    "collections": "bytes in its collections",
    "others": "bytes besides its graphs and collections",
}
