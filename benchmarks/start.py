"""What `hubplug --help` takes to start, against `import requests`, in processor time, which other programs disturb less than a clock.

``python benchmarks/start.py [--runs 30]`` runs both in turn, each run a process of its own, and prints the medians and the
median of the ratios.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
from collections.abc import Sequence

OURS = [sys.executable, "-m", "hubplug", "--help"]
THEIRS = [sys.executable, "-c", "import requests"]


def main() -> None:
    """Measures, and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=30)
    runs = parser.parse_args().runs
    processor_seconds(OURS), processor_seconds(THEIRS)  # what is compiled once is there then
    pairs = [(processor_seconds(OURS), processor_seconds(THEIRS)) for _ in range(runs)]
    ours, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(one / other for one, other in pairs)
    print(f"hubplug --help {ours:.3f} s, import requests {theirs:.3f} s, ratio {ratio:.2f} (aim: at most 1.2)")


def processor_seconds(command: Sequence[str]) -> float:
    """User and system time of a process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
