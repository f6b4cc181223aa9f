"""Shows the op types of the installed TensorFlow that no class of ``registered_ops.json`` has, with what is to be reviewed.

Run it with each new release, a pre-release too, and put each op into the class that says what its kernels do::

    python tools/review_ops.py plugins/hubplug_format/module/registered_ops.json

An op without a class is an error to the profile ``safe``. When all have one, the release is added to those of the file.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_TELLING = {"string", "resource", "variant"}


def registered_ops() -> tuple[str, list[Any]]:
    """The release of the installed TensorFlow, and the OpDef messages of all op types that it registers by itself."""
    import tensorflow as tf
    from tensorflow.core.framework import op_def_pb2
    from tensorflow.python.client import pywrap_tf_session

    ops = op_def_pb2.OpList.FromString(pywrap_tf_session.TF_GetBuffer(pywrap_tf_session.TF_GetAllOpList()))
    return tf.__version__, list(ops.op)


def reasons_to_look(op: Any) -> Iterator[str]:
    """What of an op can hold a path, an address or a program, or says that it does more than compute."""
    from tensorflow.core.framework import types_pb2

    if op.is_stateful:
        yield "stateful"
    for side, args in (("input", op.input_arg), ("output", op.output_arg)):
        for arg in args:
            dtype = types_pb2.DataType.Name(arg.type).removeprefix("DT_").lower()
            if dtype in _TELLING:
                yield f"{dtype} {side} {arg.name}"
    for attr in op.attr:
        if attr.type in ("string", "func", "list(string)", "list(func)", "tensor"):
            yield f"{attr.type} attribute {attr.name}"


def main(path: Path) -> int:
    listed = json.loads(path.read_text(encoding="utf-8"))
    known = {op for about in listed["classes"].values() for op in about["ops"]}
    release, ops = registered_ops()
    missing = [op for op in ops if op.name not in known]
    for op in missing:
        print(f"{op.name}: {', '.join(reasons_to_look(op)) or 'nothing but tensors'}\n    {op.summary}")
    if not missing and release not in listed["releases"]:
        listed["releases"] = sorted([*listed["releases"], release])
        path.write_text(json.dumps(listed, indent=1) + "\n", encoding="utf-8")
    print(f"TensorFlow {release} registers {len(ops)} op types, {len(missing)} without a class")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
