"""Damages indexes of checkpoints, and gives those that hubplug accepts to TensorFlow. A program, since it may end by a signal.

``python -m tests.plugins.format.index_trials DIRECTORY FIRST LAST [unchecked]`` makes checkpoints in a directory and does the trials
of these numbers; ``unchecked`` leaves out what hubplug finds. ``DIRECTORY/trial`` holds the number of the one that is going on. Prints counts.
"""

from __future__ import annotations

import json
import random
import shutil
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from hubplug.errors import FormatError
from hubplug_format import CheckpointIndex, message_class
from hubplug_format.checkpoint.slice_keys import slice_key
from hubplug_format.checkpoint.table import read_table, write_table
from tests.plugins.format.crafted import block, entries, table

Pairs = list[tuple[bytes, bytes]]
NUMBERS = (-(1 << 63), -(1 << 31), -2, -1, 0, 1, 2, 3, 4, 7, 8, 127, 1 << 20, (1 << 31) - 1, 1 << 31, 1 << 40, 1 << 62)


def flip(data: bytes, rng: random.Random) -> bytes:
    """A few bytes changed, cut off, left out, doubled or put in."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        at = rng.randrange(len(changed) + 1)
        match rng.randrange(5):
            case 0 if at < len(changed):
                changed[at] ^= 1 << rng.randrange(8)
            case 1:
                changed[at : at + 1] = rng.randbytes(1)
            case 2:
                del changed[at : at + rng.randrange(1, 5)]
            case 3:
                changed[at:at] = changed[at : at + rng.randrange(1, 9)]
            case _:
                changed[at:at] = rng.choice((b"\0", b"\xff", b"\x80", b"\xff" * 9 + b"\x01"))
    return bytes(changed[: rng.randrange(len(changed) + 1)] if rng.random() < 0.1 else changed)


def change_header(pairs: Pairs, rng: random.Random) -> None:
    header = message_class("BundleHeaderProto").FromString(pairs[0][1])
    match rng.randrange(4):
        case 0:
            header.num_shards = rng.choice((0, 1, 2, 3, -1, 100_000, (1 << 31) - 1))
        case 1:
            header.endianness = rng.choice((0, 1, 2, -1))
        case 2:
            header.version.producer = rng.choice((-1, 0, 1, 2, 1 << 30))
            header.version.min_consumer = rng.choice((-1, 0, 1, 2, 1 << 30))
        case _:
            header.version.bad_consumers.extend([0, 1, 2])
    pairs[0] = b"", header.SerializeToString()


def change_entry(pairs: Pairs, rng: random.Random) -> None:
    at = rng.randrange(1, len(pairs))
    entry = message_class("BundleEntryProto").FromString(pairs[at][1])
    for _ in range(rng.choice((1, 1, 2, 3))):
        match rng.randrange(10):
            case 0:
                entry.dtype = rng.choice((*range(35), *range(100, 130), -1, 1000))
            case 1:
                entry.shard_id = rng.choice((-1, 0, 1, 2, 1 << 30))
            case 2:
                entry.offset = rng.choice((*NUMBERS, entry.offset + 1))
            case 3:
                entry.size = rng.choice((*NUMBERS, entry.size + 1, entry.size - 1))
            case 4:
                entry.crc32c = rng.randrange(1 << 32)
            case 5 if entry.shape.dim:
                rng.choice(entry.shape.dim).size = rng.choice(NUMBERS)
            case 6:
                for _ in range(rng.choice((1, 2, 254, 255, 300))):
                    entry.shape.dim.add(size=rng.choice((0, 1, *NUMBERS)))
            case 7:
                entry.shape.unknown_rank = True
            case 8 if entry.shape.dim:
                # The bytes stay as many.
                sizes = [dim.size for dim in entry.shape.dim]
                del entry.shape.dim[:]
                for size in rng.choice(
                    (sizes[::-1], [*sizes, 1], [1, *sizes], [*sizes, 0, 1 << 62, 1 << 62], sizes[1:])
                ):
                    entry.shape.dim.add(size=size)
            case _:
                change_slices(entry, rng)
    pairs[at] = pairs[at][0], entry.SerializeToString()


def change_slices(entry: Any, rng: random.Random) -> None:
    if not entry.slices or rng.random() < 0.2:
        part = entry.slices.add()
        for _ in range(rng.randrange(4)):
            part.extent.add(start=rng.choice(NUMBERS), length=rng.choice(NUMBERS))
        return
    part = rng.choice(entry.slices)
    match rng.randrange(5):
        case 0:
            entry.slices.add().CopyFrom(part)
        case 1:
            del entry.slices[rng.randrange(len(entry.slices))]
        case 2 if part.extent:
            extent = rng.choice(part.extent)
            extent.start, extent.length = rng.choice(NUMBERS), rng.choice(NUMBERS)
        case 3:
            part.extent.add()
        case _:
            del part.extent[-1:]


def move_slice(pairs: Pairs, rng: random.Random) -> None:
    """A part is moved in the whole, consistently: they overlap, or one is missing."""
    kind = message_class("BundleEntryProto")
    for at, (key, value) in enumerate(pairs):
        entry = kind.FromString(value) if key else None
        if entry is None or not entry.slices:
            continue
        part = rng.choice(entry.slices)
        name = key.decode()
        old = slice_key(name, [(e.start, e.length if e.WhichOneof("has_length") else -1) for e in part.extent])
        part.extent[0].start = rng.randrange(4)
        new = slice_key(name, [(e.start, e.length if e.WhichOneof("has_length") else -1) for e in part.extent])
        pairs[at] = key, entry.SerializeToString()
        pairs[:] = [(new if key == old else key, value) for key, value in pairs]
        return


def change_pairs(pairs: Pairs, rng: random.Random) -> None:
    at = rng.randrange(len(pairs))
    key, value = pairs[at]
    match rng.randrange(6):
        case 0:
            pairs[at] = key, flip(value, rng)
        case 1:
            pairs[at] = flip(key, rng), value
        case 2:
            del pairs[at]
        case 3:
            pairs.append((rng.choice((key + b"x", b"\xff", b"\0", b"\0\0", key + b"\0", b"a" * 300)), value))
        case 4:
            pairs[at] = key, pairs[rng.randrange(len(pairs))][1]
        case _:
            pairs[at] = pairs[rng.randrange(len(pairs))][0], value


def rebuilt(pairs: Pairs, rng: random.Random) -> bytes:
    """A table with right checksums, whose blocks are as TensorFlow's or damaged."""
    if rng.random() < 0.7:
        return write_table(sorted(dict(pairs).items()) if rng.random() < 0.9 else pairs)
    items = [(0, key, value) for key, value in sorted(dict(pairs).items())]
    content = entries(items, restarts=rng.choice(((0,), (), (1,), (0, 0), (0, 1 << 31), (0, len(items[0][2]) + 3))))
    if rng.random() < 0.5:
        content = flip(content, rng)
    if rng.random() < 0.3:
        content = content[:-4] + struct.pack("<I", rng.choice((0, 1, 2, 1000, 1 << 30, (1 << 32) - 1)))
    odd = rng.random() < 0.3

    def index(handles: list[bytes]) -> list[tuple[int, bytes, bytes]]:
        handle = flip(handles[0], rng) if odd else handles[0]
        return [(0, rng.choice((b"\xff", b"", b"a")), handle)] * rng.choice((1, 1, 2))

    return table(block(content, rng.choice((0, 0, 0, 1, 2))), index=index if rng.random() < 0.5 else None)


def damaged(data: bytes, rng: random.Random) -> bytes:
    if rng.random() < 0.1:
        return flip(data, rng)
    pairs = read_table(data, "index")
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        change: Callable[[Pairs, random.Random], None] = rng.choice(
            (change_header, change_entry, change_entry, change_entry, move_slice, change_pairs)
        )
        with suppress(Exception):  # What an earlier change damaged, or a number that the field cannot hold.
            change(pairs, rng)
    return rebuilt(pairs, rng) if pairs else b""


def make_checkpoints(directory: Path) -> list[Path]:
    """One of many dtypes with partitioned variables, and the same in two data files; made by TensorFlow."""
    import tensorflow as tf

    v1 = tf.compat.v1
    for name in ("one", "two", "half-a", "half-b"):
        (directory / name).mkdir(parents=True)
    with tf.Graph().as_default(), v1.Session() as session:
        for name, value in {
            "float": [[1.0, 2.0], [3.0, 4.0]],
            "text": [b"a", b"bcd", b""],
            "flag": True,
            "whole": [1, 2, 3],
        }.items():
            v1.get_variable(name, initializer=tf.constant(value))
        v1.get_variable("half", [3], tf.bfloat16, v1.ones_initializer())
        v1.get_variable("none", [0, 3], initializer=v1.ones_initializer())
        v1.get_variable("parts", [4, 2], initializer=v1.ones_initializer(), partitioner=v1.fixed_size_partitioner(2))
        session.run(v1.global_variables_initializer())
        saved = v1.train.Saver().save(session, str(directory / "one" / "c"), write_meta_graph=False)
        first, second = str(directory / "half-a" / "c"), str(directory / "half-b" / "c")
        variables = v1.global_variables()
        v1.train.Saver(variables[:4]).save(session, first, write_meta_graph=False)
        v1.train.Saver(variables[4:]).save(session, second, write_meta_graph=False)
        merge = tf.raw_ops.MergeV2Checkpoints(
            checkpoint_prefixes=[first, second], destination_prefix=str(directory / "two" / "c")
        )
        session.run(merge)
    return [Path(saved), directory / "two" / "c"]


def read_with_tensorflow(prefix: Path) -> None:
    """Everything that hubplug has TensorFlow do with a checkpoint; its errors are fine."""
    import tensorflow as tf

    with suppress(Exception):
        reader = tf.train.load_checkpoint(str(prefix))
        shapes, dtypes = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
        names = sorted(shapes)
        parts = [
            " ".join(map(str, shape)) + " " + ":".join(["0,1", "-", "-"][: len(shape)]) for shape in shapes.values()
        ]
        slices = dict(zip(shapes, parts, strict=True))
        for tensors in (names, *([name] for name in names)):
            for specs in ([""] * len(tensors), [slices[name] if shapes[name] else "" for name in tensors]):
                with suppress(Exception):
                    tf.raw_ops.RestoreV2(
                        prefix=str(prefix),
                        tensor_names=tensors,
                        shape_and_slices=specs,
                        dtypes=[dtypes[name] for name in tensors],
                    )
        for name in names:
            # A reader that has failed at a part ends the process when it is asked again.
            with suppress(Exception):
                tf.train.load_checkpoint(str(prefix)).get_tensor(name)


def main() -> None:
    directory, first, last = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    checked = sys.argv[4:] != ["unchecked"]
    prefixes = make_checkpoints(directory / "made")
    seeds = [Path(f"{prefix}.index").read_bytes() for prefix in prefixes]
    counts = {"trials": 0, "accepted": 0}
    for trial in range(first, last):
        rng = random.Random(trial)
        which = rng.randrange(len(seeds))
        target = Path(shutil.copytree(prefixes[which].parent, directory / "trial-files", dirs_exist_ok=True)) / "c"
        Path(f"{target}.index").write_bytes(damaged(seeds[which], rng))
        (directory / "trial").write_text(str(trial))
        counts["trials"] += 1
        try:
            CheckpointIndex.read(target)
        except FormatError:
            if checked:
                shutil.rmtree(target.parent)
                continue
        else:
            counts["accepted"] += 1
        read_with_tensorflow(target)
        shutil.rmtree(target.parent)
    print(json.dumps(counts))


if __name__ == "__main__":
    main()
