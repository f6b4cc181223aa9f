"""An extension of griffe: docstrings as Markdown has them."""

from __future__ import annotations

import re
from typing import Any

import griffe


class PlainColons(griffe.Extension):
    """Two colons before an indented block are one: the block is code in either markup."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Changes the docstring of an object, once."""
        if obj.docstring is not None:
            obj.docstring.value = re.sub(r"::(?=\n\n)", ":", obj.docstring.value)
