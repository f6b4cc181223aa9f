"""What Python imports before a program of ``hubplug run``, and before every Python program that it starts.

``hubplug run`` puts this directory into ``PYTHONPATH`` and leaves the rest to Python, so that a program runs as it does
without hubplug, but for what its imports give.
"""

import os
import sys


def _prepare() -> None:
    here = os.path.dirname(__file__)
    sys.path[:] = [entry for entry in sys.path if entry != here]
    if os.environ.get("HUBPLUG_RUN") == sys.prefix:  # and not an interpreter of another environment
        from hubplug_compat._finder import find_first

        find_first(tf1=os.environ.get("HUBPLUG_RUN_TF1") == "1", quiet=True)
    _import_the_one_hidden_by_this()


def _import_the_one_hidden_by_this() -> None:
    from importlib.machinery import PathFinder

    spec = PathFinder.find_spec(__name__, sys.path)
    if spec is not None and spec.loader is not None:
        from importlib.util import module_from_spec

        sys.modules[__name__] = hidden = module_from_spec(spec)
        spec.loader.exec_module(hidden)


_prepare()
