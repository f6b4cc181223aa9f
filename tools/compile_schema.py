"""Compiles ``schema.proto`` of ``hubplug_format`` into ``schema.binpb``, a FileDescriptorSet; needs grpcio-tools.

Run it after each change of ``schema.proto``::

    python tools/compile_schema.py
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "plugins" / "hubplug_format" / "protos"


def compile_schema(compiled: Path) -> None:
    """Writes the FileDescriptorSet of the schema, with the files that it imports before it."""
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{FOLDER}", "--include_imports"]
    subprocess.run([*command, f"--descriptor_set_out={compiled}", "schema.proto"], check=True)


if __name__ == "__main__":
    compile_schema(FOLDER / "schema.binpb")
