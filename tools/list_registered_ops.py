"""Makes the list of registered op types that ``hubplug_format`` bundles.

Run it once with each TensorFlow release; names are added to those that are there::

    python tools/list_registered_ops.py plugins/hubplug_format/registered_ops.txt
"""

from __future__ import annotations

import sys
from pathlib import Path


def registered_ops() -> tuple[str, set[str]]:
    """The release of the installed TensorFlow, and the names of all op types that it registers by itself."""
    import tensorflow as tf
    from tensorflow.core.framework import op_def_pb2
    from tensorflow.python.client import pywrap_tf_session

    ops = op_def_pb2.OpList.FromString(pywrap_tf_session.TF_GetBuffer(pywrap_tf_session.TF_GetAllOpList()))
    return tf.__version__, {op.name for op in ops.op}


def main(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    releases = {line.removeprefix("# TensorFlow ") for line in lines if line.startswith("# TensorFlow ")}
    names = {line for line in lines if line and not line.startswith("#")}
    release, found = registered_ops()
    releases.add(release)
    names |= found
    header = ["# Op types registered by these releases, one per line; made by tools/list_registered_ops.py"]
    header += [f"# TensorFlow {release}" for release in sorted(releases)]
    path.write_text("\n".join([*header, *sorted(names)]) + "\n", encoding="utf-8")
    print(f"{path}: {len(names)} op types of TensorFlow {', '.join(sorted(releases))}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
