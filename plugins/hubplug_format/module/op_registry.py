"""Which op types TensorFlow itself registers, what each can do, and which package brings some well-known others.

The list is package data, ``registered_ops.json``: every op type of the releases that it names, in classes with a reason
each. ``tools/review_ops.py`` shows what a release has that the list does not. Each op was classified by what its kernels
do; that it is registered as stateless says nothing: ReadFile, ImmutableConst and DatasetFromGraph are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Literal

_LIST = "registered_ops.json"

_TEXT_OPS = frozenset(
    {
        "CaseFoldUTF8",
        "ConstrainedSequence",
        "FastWordpieceDetokenize",
        "FastWordpieceTokenizeWithOffsets",
        "FindSourceOffsets",
        "MaxSpanningTree",
        "MstSolver",
        "NormalizeUTF8",
        "NormalizeUTF8WithOffsetsMap",
        "RegexSplitWithOffsets",
        "RougeL",
        "SentenceFragments",
        "SentencepieceDetokenizeOp",
        "SentencepieceIdToStringOp",
        "SentencepieceOp",
        "SentencepieceStringToIdOp",
        "SentencepieceTokenizeOp",
        "SentencepieceTokenizeWithOffsetsOp",
        "SentencepieceVocabSizeOp",
        "SplitMergeFromLogitsTokenizeWithOffsets",
        "SplitMergeTokenizeWithOffsets",
        "UnicodeScriptTokenizeWithOffsets",
        "WhitespaceTokenizeWithOffsets",
        "WhitespaceTokenizeWithOffsetsV2",
        "WordpieceTokenizeWithOffsets",
    }
)
_PREFIXES = {
    "TFText>": "tensorflow-text",
    "IO>": "tensorflow-io",
    "Addons>": "tensorflow-addons",
    "SimpleML": "tensorflow-decision-forests",
    "TFRA>": "tensorflow-recommenders-addons",
}


@dataclass(frozen=True)
class OpClass:
    """What ops of one class can do.

    Attributes:
        name: ``reads-files``.
        level: Whether a module that no one vouches for may have them: ``allowed``, or the level at which to report them.
        reason: What they do, in words that follow the name of the op.
    """

    name: str
    level: Literal["allowed", "warning", "error"]
    reason: str


class OpRegistry:
    """Op types, each with its class.

    Attributes:
        names: Theirs.
        releases: The TensorFlow releases that have them.
    """

    def __init__(self, classes: Mapping[str, OpClass], releases: tuple[str, ...] = ()) -> None:
        self._classes = dict(classes)
        self.names = frozenset(classes)
        self.releases = releases

    @classmethod
    def bundled(cls) -> OpRegistry:
        """The op types of the TensorFlow releases that hubplug knows, all together."""
        return _bundled()

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def __len__(self) -> int:
        return len(self.names)

    def class_of(self, name: str) -> OpClass | None:
        """The class of an op type; None for one that is not TensorFlow's."""
        return self._classes.get(name)

    def package_of(self, name: str) -> str | None:
        """The PyPI package that is known to register an op type; None if that is TensorFlow itself, or not known."""
        if name in self.names:
            return None
        if name in _TEXT_OPS:
            return "tensorflow-text"
        return next((package for prefix, package in _PREFIXES.items() if name.startswith(prefix)), None)


@cache
def _bundled() -> OpRegistry:
    listed = json.loads(resources.files(__package__).joinpath(_LIST).read_text(encoding="utf-8"))
    classes = {}
    for name, about in listed["classes"].items():
        op_class = OpClass(name, about["level"], about["reason"])
        classes.update(dict.fromkeys(about["ops"], op_class))
    return OpRegistry(classes, tuple(listed["releases"]))
