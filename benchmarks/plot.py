"""Draws the graph side: time and ops against calls, and against layers. Needs matplotlib."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot as plt


def draw(
    path: Path,
    many: Mapping[str, Mapping[str, Any]],
    growing: Mapping[str, Sequence[Mapping[str, Any]]],
    sizes: Mapping[str, Any],
) -> None:
    """Writes a PNG of four plots.

    Args:
        path: Where.
        many: The figures of the measurement ``many``, by library.
        growing: Those of ``apply`` with ever more layers, by library.
        sizes: ``calls`` and ``many_layers`` of the workload.
    """
    figure, axes = plt.subplots(2, 2, figsize=(11, 8), layout="constrained")
    for library, found in many.items():
        calls = range(1, len(found["seconds_of_calls"]) + 1)
        axes[0, 0].plot(calls, list(accumulate(found["seconds_of_calls"])), label=library)
        axes[1, 0].plot(calls, list(accumulate(found["ops_of_calls"])), label=library)
    for library, runs in growing.items():
        layers = [run["layers"] for run in runs]
        axes[0, 1].plot(layers, [run["module"] + run["default_calls"] for run in runs], marker="o", label=library)
        axes[1, 1].plot(layers, [run["module_ops"] + run["default_ops"] for run in runs], marker="o", label=library)
    axes[0, 0].set_title(f"calls of `default`, {sizes['many_layers']} layers")
    axes[0, 1].set_title(f"Module() and {sizes['calls']} calls of `default`")
    for row, unit in enumerate(("seconds", "ops")):
        for column, over in enumerate(("calls", "layers")):
            axes[row, column].set_xlabel(over)
            axes[row, column].set_ylabel(unit)
            axes[row, column].set_yscale("log")
            axes[row, column].legend()
            axes[row, column].grid(alpha=0.3)
    figure.savefig(path, dpi=120)
    plt.close(figure)
