"""What answers for ``tensorflow_hub``, and under ``hubplug run --tf1`` for ``tensorflow``, before any installed package.

It is imported at the start of every program of ``hubplug run``, so it imports nothing itself until it has to answer.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec as ImportSpec
    from types import ModuleType


class Finder:
    """An entry of ``sys.meta_path``."""

    def __init__(self, tf1: bool, quiet: bool) -> None:
        self.tf1 = tf1
        self.quiet = quiet

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ImportSpec | None:
        """The way to a module; None where it is found as usual."""
        top = fullname.partition(".")[0]
        if top == "tensorflow_hub":
            from hubplug_compat._standing_in import find_stand_in

            return find_stand_in(fullname)
        if top == "tensorflow" and self.tf1:
            from hubplug_compat._tensorflow_1 import find_tensorflow_1

            return find_tensorflow_1(fullname, path)
        if fullname == "tensorflow" and self.quiet:
            from hubplug_compat._quiet import find_tensorflow

            return find_tensorflow()
        if self.tf1 and top in ("keras", "tf_keras") and fullname.startswith(f"{top}.legacy_tf_layers"):
            from hubplug_compat._tensorflow_1 import find_legacy_layers

            return find_legacy_layers(fullname)
        return None


def find_first(*, tf1: bool = False, quiet: bool = False) -> None:
    """Makes this process's imports ask a Finder first, if they do not do so already.

    Args:
        tf1: Whether ``tensorflow`` is TensorFlow 1's.
        quiet: Whether its import leaves what it notes about the machine out of standard error.
    """
    for finder in sys.meta_path:
        if isinstance(finder, Finder):
            finder.tf1, finder.quiet = finder.tf1 or tf1, finder.quiet or quiet
            return
    sys.meta_path.insert(0, Finder(tf1, quiet))


def install_as_tensorflow_hub() -> None:
    """Makes ``import tensorflow_hub`` mean hubplug in this process; a second call does nothing.

    The absl flags that tensorflow_hub defines are defined with its first import, where absl is installed.

    Raises:
        StandingInError: The real tensorflow_hub is imported already. It is an ImportError.
    """
    imported = sys.modules.get("tensorflow_hub")
    if imported is None:
        find_first()
        return
    from hubplug_compat._standing_in import StandIn, StandingInError

    if not isinstance(imported, StandIn):
        raise StandingInError(
            f"The real tensorflow_hub is imported already (from {getattr(imported, '__file__', None)}), and objects of "
            "both would mix",
            hint="call hubplug.install_as_tensorflow_hub() before the first import of tensorflow_hub",
        )
