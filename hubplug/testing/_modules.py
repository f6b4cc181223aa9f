"""Tiny modules in TF1 Hub format, made without TensorFlow."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

from hubplug_format import ModuleBuilder, Type, write_module


def write_tiny_module(directory: str | os.PathLike[str], scale: float = 2.0) -> Path:
    """Writes a module that multiplies: signature ``default``, input ``x`` and output ``default``, float32 ``[None]``.

    Args:
        directory: Made when it is not there; otherwise it must be empty.
        scale: The value of the module's one variable, ``scale``.

    Returns:
        The directory.
    """
    builder = ModuleBuilder()
    x = builder.placeholder("x", "float32", [None])
    factor = builder.variable("scale", scale)
    y = builder.node("Mul", [x, factor], {"T": Type("float32")}, name="y", shape=[None])
    builder.signature(inputs={"x": x}, outputs={"default": y})
    write_module(directory, builder)
    return Path(directory)


def archive_of(directory: str | os.PathLike[str], compression: str = "gz") -> bytes:
    """A directory as a tar archive with the directory's content at its root.

    Args:
        directory: What to pack.
        compression: ``gz``, ``bz2``, ``xz``, or empty for none.
    """
    root = Path(directory)
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode=f"w:{compression}", format=tarfile.PAX_FORMAT) as archive:  # type: ignore[call-overload]
        for path in sorted(root.rglob("*")):
            info = archive.gettarinfo(path, str(path.relative_to(root)))
            info.mtime = info.uid = info.gid = 0
            info.uname = info.gname = ""
            if path.is_file():
                with path.open("rb") as file:
                    archive.addfile(info, file)
            else:
                archive.addfile(info)
    return data.getvalue()
