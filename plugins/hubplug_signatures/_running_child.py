"""The program of the child process that applies a module's signatures."""

from __future__ import annotations

import os
import pickle
import signal
import sys

from hubplug.processes.limits import limit
from hubplug.types import Finding
from hubplug_signatures._answers import answer

# Beyond what the parent waits, for a parent that has ended without killing it.
_GRACE = 10


def main() -> None:
    """Applies the signatures of one module, within the limits of the job."""
    # The module may print, which must not be taken for findings.
    stream = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    # The directory that is worked in becomes that of the parent, and nothing is imported from there.
    sys.path[:] = [path for path in sys.path if path]
    job = pickle.loads(sys.stdin.buffer.read())
    os.chdir(job["working_directory"])
    seconds = int(job["seconds"]) + _GRACE
    # Address space says nothing here: TensorFlow reserves many times what it uses.
    limit({"RLIMIT_DATA": job["memory_bytes"], "RLIMIT_CPU": seconds * (os.cpu_count() or 1)})
    if hasattr(signal, "alarm"):
        signal.alarm(seconds)
    from hubplug_signatures._profiles import PROFILES
    from hubplug_signatures._running import run_profile

    # Only now: what TensorFlow imports looks for a temporary directory by writing to it.
    limit({"RLIMIT_FSIZE": 0})
    found: list[Finding] = []
    for name in job["profiles"]:
        try:
            found += run_profile(job["spec"], PROFILES[name])
        except MemoryError:
            said = f"applying the signatures takes more than the {job['memory_bytes'] >> 20} MiB that they may use"
            found.append(Finding(f"{name}/not-checked", "error", said))
    answer(found, stream)
    stream.flush()
    # Without waiting for threads of the module's program.
    os._exit(0)


if __name__ == "__main__":
    main()
