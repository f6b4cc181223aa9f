"""Which op types TensorFlow itself registers, and which package brings some well-known others.

The list is package data, made by ``tools/list_registered_ops.py`` from the releases it names in its first lines. It says
that a name exists, nothing more: the flag ``is_stateful`` of an op says nothing about whether it touches files.
"""

from __future__ import annotations

from functools import cache
from importlib import resources

_LIST = "registered_ops.txt"

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


class OpRegistry:
    """A set of op types.

    Attributes:
        names: Theirs.
    """

    def __init__(self, names: frozenset[str]) -> None:
        self.names = names

    @classmethod
    def bundled(cls) -> OpRegistry:
        """The op types of the TensorFlow releases that hubplug is tested with, all together."""
        return _bundled()

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def __len__(self) -> int:
        return len(self.names)

    def package_of(self, name: str) -> str | None:
        """The PyPI package that is known to register an op type; None if that is TensorFlow itself, or not known."""
        if name in self.names:
            return None
        if name in _TEXT_OPS:
            return "tensorflow-text"
        return next((package for prefix, package in _PREFIXES.items() if name.startswith(prefix)), None)


@cache
def _bundled() -> OpRegistry:
    text = resources.files(__package__).joinpath(_LIST).read_text(encoding="utf-8")
    return OpRegistry(frozenset(line for line in text.splitlines() if line and not line.startswith("#")))
