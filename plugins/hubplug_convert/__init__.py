"""The command ``convert``: a model of one format as a model of another, kept only when both give the same.

It is a library for authors of conversions, too: ``Request`` is what a conversion is given; ``Sparse`` and ``Ragged`` are
how it takes and gives what is not a plain array; ``Conversion`` and ``Runner`` say what it has to have.
"""

from __future__ import annotations

from hubplug_convert._contract import Conversion as Conversion
from hubplug_convert._contract import NotExpressibleError as NotExpressibleError
from hubplug_convert._contract import Ragged as Ragged
from hubplug_convert._contract import Request as Request
from hubplug_convert._contract import Runner as Runner
from hubplug_convert._contract import Sparse as Sparse

__all__ = ["Conversion", "NotExpressibleError", "Ragged", "Request", "Runner", "Sparse"]
