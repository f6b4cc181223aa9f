"""What a conversion is: a class that an entry point of the group ``hubplug.conversions`` names ``SOURCE.TARGET``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol


class Sparse(NamedTuple):
    """A sparse value: numpy arrays as in a ``tf.SparseTensor``, the indices in row-major order."""

    indices: Any
    values: Any
    dense_shape: Any


class Ragged(NamedTuple):
    """A ragged value: row ``i`` is ``values[row_splits[i]:row_splits[i + 1]]``; the values may be ragged themselves."""

    values: Any
    row_splits: Any


class NotExpressibleError(Exception):
    """What a runner of a result raises for inputs that its format cannot express, whatever the model: the report lists
    them, and they count neither as refused nor as compared."""


@dataclass(frozen=True)
class Request:
    """What is to be converted.

    Attributes:
        source: The directory that holds it.
        format: ``tf1-hub``, ``tf1-saved-model`` or ``tf2-saved-model``.
        tags: Of its graph variant.
        signatures: The names of those that the result has to have.
    """

    source: Path
    format: str
    tags: frozenset[str]
    signatures: tuple[str, ...]


class Runner(Protocol):
    """A model that was loaded. It may also have ``gradients``, as ``Runner.run`` but for what it returns: a mapping from
    the names of its trainable variables, as the source calls them, to the gradients of the sum of all outputs."""

    def run(self, signature: str, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        """Applies a signature.

        Args:
            signature: Its name in the source.
            inputs: By their names in the source: numpy arrays (strings as objects that are bytes), Sparse or Ragged.

        Returns:
            Outputs by their names in the source: numpy arrays, Sparse or Ragged, or tuples with the same attributes.
            Others than the source has are not looked at.

        Raises:
            Exception: The model does not take these inputs.
        """


class Conversion(Protocol):
    """Makes a model of one format from one of another. It may also have ``open_source``, as ``open`` but for what it is
    given: the Request; it is needed for formats that hubplug cannot run itself. With ``runs_without_tensorflow = True``, the
    process of the result imports nothing of TensorFlow's, and it is no result when that happens all the same."""

    def convert(self, request: Request, dest: Path) -> Sequence[str] | None:
        """Writes the result into an empty directory, in a child process.

        Returns:
            What the user should know about it, in sentences.

        Raises:
            ExportError: It cannot be converted; the message says why, and names what stands in the way.
        """

    def open(self, request: Request, result: Path) -> Runner:
        """Loads the result, in another child process."""
