"""What each rule means that a finding can name: for reports in SARIF, and for the documentation."""

from __future__ import annotations

from functools import cache

from hubplug_format import OpRegistry
from hubplug_signatures._profiles import PROFILES

# Of every profile that describes a common signature.
COMMON_SIGNATURE = {
    "signature": "A signature that the profile needs is missing.",
    "input-count": "The signature has another number of inputs than one.",
    "input-name": "The input does not have the name that the profile asks for.",
    "input-kind": "The input is not a dense tensor.",
    "input-dtype": "The input has another dtype.",
    "input-shape": "The input has another shape.",
    "output-name": "There is no output of the name that the profile asks for.",
    "output-kind": "The output is not a dense tensor.",
    "output-dtype": "The output has another dtype.",
    "output-shape": "The output has another shape.",
    "output-prefix": "A further output has no prefix: it is to be called `<architecture>/<name>`.",
    "unreadable": "The signatures of a graph variant cannot be read, or there is no graph variant.",
    "run": "A batch of generated inputs failed (`--run`).",
    "run-dtype": "A computed output has another dtype than declared (`--run`).",
    "run-shape": "A computed output has another shape than declared (`--run`).",
    "run-batch": "The output has another number of rows than the input (`--run`).",
    "run-finite": "The output has values that are not finite (`--run`).",
    "run-rows": "A row of the output depends on the rest of its batch (`--run`).",
    "not-checked": "The child process that was to apply the module ended early or had to be ended (`--run`).",
}
COMPLETE = {
    "files": "A file of the module is missing, or is damaged.",
    "asset": "An asset belongs to a tensor that the graph does not have.",
    "custom-op": "The graph has an op that another package brings, which has to be imported first.",
    "graph-size": "The graph is close to the 2 GiB that a graph may have.",
    "op-of-another-release": "The TensorFlow that is imported here does not have an op, but another release does.",
    "partition": "The parts of a partitioned variable do not make up the whole.",
    "signature": "A signature names a tensor that the graph does not have.",
    "unknown-op": "No package is known that has an op of the graph.",
    "variable": "A variable is not in the checkpoint, or has another shape or dtype there.",
    "variants": "The exported graph variant does not define a variable of another one.",
    "not-checked": "The module has no files here, or they could not be read to their end within the limits.",
}
SAFE = {
    "allowed-op": "An op that would be reported is allowed by name.",
    "asset": "A table or a collection names a file that is not an asset of the module.",
    "chunked": "The SavedModel is in pieces, which cannot be scanned.",
    "function-name": "Two functions have one name, or one has the name of an op of TensorFlow's.",
    "nested-program": "A string holds a program that cannot be inspected, or programs in programs too deep.",
    "node-name": "Two nodes of a graph or a function have one name.",
    "unknown-op": "An op is not one of TensorFlow's, so nothing is known of what it does.",
    "not-checked": "The module has no files here, or they could not be read to their end within the limits.",
}
DIFF = {
    "tags": "A graph variant is gone, or new.",
    "signature": "A signature is gone, or new.",
    "input": "An input is gone or new, or has another kind, dtype or shape.",
    "output": "An output is gone or new, or has another kind, dtype or shape.",
    "attachment": "An attachment is gone or new, or has different content.",
    "asset": "An asset is gone or new, or has different content.",
    "op": "Ops are gone or new.",
    "variable": "A variable is gone or new, or has another shape or dtype.",
    "value": "A variable has other values.",
}


@cache
def all_rules() -> dict[str, str]:
    """What each rule means, by its whole name: ``safe/reads-files``."""
    registry = OpRegistry.bundled()
    classes = {about.name: about for about in map(registry.class_of, registry.names) if about is not None}
    unsafe = {name: f"An op {about.reason}." for name, about in classes.items() if about.level != "allowed"}
    families = {
        **dict.fromkeys(PROFILES, COMMON_SIGNATURE),
        "complete": COMPLETE,
        "safe": {**SAFE, **dict(sorted(unsafe.items()))},
        "diff": DIFF,
    }
    return {f"{family}/{name}": said for family, rules in families.items() for name, said in rules.items()}
