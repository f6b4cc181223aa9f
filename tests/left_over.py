"""What a process that was killed while it wrote a file leaves beside the file's place."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

_WRITE = """
import sys, time
from pathlib import Path
from hubplug.files.staging import replace_file
with replace_file(Path(sys.argv[1])) as file:
    file.write(b"half")
    print(file.name, flush=True)
    time.sleep(60)
"""


def left_over(target: Path) -> Path:
    """Begins to write ``target`` in another process, kills it, and says what is left."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-c", _WRITE, str(target)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        left = Path(process.stdout.readline().strip())
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert left.is_file()
    return left
