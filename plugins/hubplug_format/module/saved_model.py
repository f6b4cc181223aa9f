"""``saved_model.pb`` and ``saved_model.pbtxt``: the graph variants of a SavedModel, read without parsing their graphs."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from hubplug.errors import FormatError, UnknownTagsError
from hubplug.spec import variants_in_words
from hubplug_format.module.allowance import Allowance
from hubplug_format.module.graph_variant import GraphVariant
from hubplug_format.protos.files import PROTO_BYTES, names_in, read_capped
from hubplug_format.protos.schema import message_class, private_pool
from hubplug_format.protos.varints import get_varint
from hubplug_format.protos.wire import BYTES, VARINT, wire_fields

SAVED_MODEL_FILE = "saved_model.pb"
SAVED_MODEL_TEXT_FILE = "saved_model.pbtxt"
# Written for models over 2 GB: the message in pieces.
SAVED_MODEL_CHUNKED_FILE = "saved_model.cpb"

# Reading text format takes a second for a megabyte.
_MOST_TEXT_BYTES = 4 << 20

# Fields of SavedModel.
_SCHEMA_VERSION, _META_GRAPHS = 1, 2


@dataclass(frozen=True, eq=False)
class SavedModelFile:
    """A SavedModel message.

    Attributes:
        path: The file it was read from.
        schema_version: 1 in all that TensorFlow writes, 0 in modules.
        variants: Tags -> graph variant, in the order of the file.
        rest: The encoding of all else: the schema version, and fields that only newer TensorFlows know.
    """

    path: Path
    schema_version: int
    variants: Mapping[frozenset[str], GraphVariant]
    rest: bytes = b""

    @classmethod
    def read(cls, directory: str | os.PathLike[str], max_bytes: int = PROTO_BYTES) -> SavedModelFile:
        """Reads ``saved_model.pb`` of a directory, or ``saved_model.pbtxt`` where there is no other.

        Args:
            directory: The module's directory.
            max_bytes: A larger file is refused.

        Raises:
            FormatError: There is neither, or it is damaged or too large.
        """
        directory = Path(directory)
        for name in (SAVED_MODEL_FILE, SAVED_MODEL_TEXT_FILE):
            if os.path.lexists(directory / name):
                return cls.read_file(directory / name, max_bytes)
        if os.path.lexists(directory / SAVED_MODEL_CHUNKED_FILE):
            raise FormatError(
                f"{directory / SAVED_MODEL_CHUNKED_FILE} is a SavedModel in pieces, which hubplug does not read",
                hint=f"load it with tf.saved_model.load and save it again as {SAVED_MODEL_FILE}",
            )
        raise FormatError(
            f"There is no SavedModel in {directory}: it holds {names_in(directory)}, but no {SAVED_MODEL_FILE}",
            hint="give the directory that holds saved_model.pb, or fetch the module again",
        )

    @classmethod
    def read_file(cls, path: str | os.PathLike[str], max_bytes: int = PROTO_BYTES) -> SavedModelFile:
        """Reads a SavedModel message; one whose file name ends in ``.pbtxt`` is in text format.

        What the schema does not know is lost from the text format: the object graph of a TF2 SavedModel and debug
        information.

        Raises:
            FormatError: As ``read``.
        """
        path = Path(path)
        if path.suffix != ".pbtxt":
            return cls.from_bytes(read_capped(path, max_bytes), path)
        data = _from_text(read_capped(path, min(max_bytes, _MOST_TEXT_BYTES)), path)
        return cls.from_bytes(data, path)

    @classmethod
    def from_bytes(cls, data: bytes, path: str | os.PathLike[str] = SAVED_MODEL_FILE) -> SavedModelFile:
        """A SavedModel from its encoding; ``path`` is what errors call it.

        Raises:
            FormatError: It is damaged, has no meta graph, two with the same tags, or more than a module can have.
        """
        view = memoryview(data)
        schema_version = 0
        rest = bytearray()
        allowance = Allowance()
        variants: dict[frozenset[str], GraphVariant] = {}
        for field in wire_fields(view, str(path)):
            allowance.take("fields", 1, str(path))
            if (field.number, field.wire_type) != (_META_GRAPHS, BYTES):
                allowance.take("others", field.end - field.start, str(path))
                rest += view[field.start : field.end]
                if (field.number, field.wire_type) == (_SCHEMA_VERSION, VARINT):
                    schema_version = get_varint(view, field.content)[0]
            else:
                allowance.take("variants", 1, str(path))
                where = f"meta graph {len(variants)} of {path}"
                variant = GraphVariant(view[field.content : field.end], where, allowance)
                if variant.tags in variants:
                    raise FormatError(
                        f"{path} has two graph variants with the same tags {sorted(variant.tags)}",
                        hint="export the module again with different tags for each variant",
                    )
                variants[variant.tags] = variant
        if not variants:
            raise FormatError(
                f"{path} is damaged: it holds no meta graph in its {len(data)} bytes",
                hint="fetch or export the module again",
            )
        return cls(Path(path), schema_version, variants, bytes(rest))

    def variant(self, tags: Collection[str] | None = None) -> GraphVariant:
        """The graph variant with exactly these tags; None stands for none.

        Raises:
            UnknownTagsError: There is no such graph variant.
        """
        asked = frozenset(tags or ())
        if asked not in self.variants:
            raise UnknownTagsError(
                f"No such graph variant: tags={sorted(asked)}; graph variants here: "
                f"{variants_in_words(list(self.variants))}",
                hint="give the tags of one of them",
            )
        return self.variants[asked]


def _from_text(text: bytes, path: Path) -> bytes:
    from google.protobuf import text_format

    message = message_class("SavedModel")()
    try:
        text_format.Parse(text, message, allow_unknown_field=True, descriptor_pool=private_pool())
    except (text_format.ParseError, UnicodeDecodeError, ValueError, RecursionError, TypeError, KeyError) as error:
        first = (str(error).splitlines() or [""])[0][:200]
        raise FormatError(
            f"{path} is damaged: it is not a SavedModel in text format ({first})",
            hint="fetch or export the module again",
        ) from error
    data: bytes = message.SerializeToString()
    return data
