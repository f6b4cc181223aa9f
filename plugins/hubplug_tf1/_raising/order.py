"""In which order names are gone through of which some need others."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from graphlib import TopologicalSorter


def in_order(needs: Mapping[str, Collection[str]]) -> Iterator[str]:
    """Names after all that they need, the same order each time; each that is needed is a key too.

    Raises:
        CycleError: Some need each other; ``args[1]`` names them.
    """
    # All names first, in their order: that of a set changes from process to process.
    sorter = TopologicalSorter(dict.fromkeys(needs, ()))
    for name, needed in needs.items():
        sorter.add(name, *needed)
    yield from sorter.static_order()
