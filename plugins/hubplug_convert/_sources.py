"""What a source is: its format, its graph variant and signatures, and what is to be tried on it. Without TensorFlow."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from urllib.parse import quote

from hubplug.errors import ConfigError, ExportError, FormatError, UnknownSignatureError, ValidationError
from hubplug.hub import Hub
from hubplug.shown.words import nearest
from hubplug.spec import ModuleSpec
from hubplug.urls import under_prefix
from hubplug_convert._cases import Case, cases_of, find_unsupported
from hubplug_convert._contract import Request
from hubplug_convert._records import records_for
from hubplug_convert._texts import words_of
from hubplug_format import MODULE_DEF_FILE, Graph, GraphVariant, SavedModelFile, image_size

_SERVE = frozenset({"serve"})
# TensorFlow keeps the ops that initialize a SavedModel as signatures of these names.
_PSEUDO = "__saved_model_"
_MOST_NAMES = 12


def describe(directory: Path, tags: Iterable[str], signatures: Collection[str]) -> tuple[Request, GraphVariant]:
    """Finds out what a directory holds.

    Args:
        directory: Of a module or SavedModel.
        tags: Of the graph variant; none: the one for inference, the one for serving, or the only one.
        signatures: Names of those to be converted; none: all.

    Raises:
        FormatError: It is damaged, or no SavedModel of any kind.
        UnknownTagsError: There is no such graph variant.
        UnknownSignatureError: There is no such signature.
    """
    model = SavedModelFile.read(directory)
    is_module = (directory / MODULE_DEF_FILE).is_file()
    asked = frozenset(tags)
    if not asked and not is_module:
        asked = _SERVE if _SERVE in model.variants or len(model.variants) > 1 else next(iter(model.variants))
    variant = model.variant(asked)
    there = {name: about for name, about in variant.signatures.items() if not name.startswith(_PSEUDO)}
    if not there:
        raise FormatError(f"{variant.where} has no signature, so there is nothing to convert")
    for name in signatures:
        if name not in there:
            raise UnknownSignatureError(f"There is no signature {name!r} in {directory}", hint=nearest(name, there))
    kind = "tf1-hub" if is_module else "tf2-saved-model" if variant.has_object_graph else "tf1-saved-model"
    return Request(
        directory, kind, asked, tuple(name for name in there if not signatures or name in signatures)
    ), variant


def generate_cases(request: Request, variant: GraphVariant, examples: Mapping[str, Iterable[Case]]) -> list[Case]:
    """What the source and the result are applied to: generated inputs, and those that the user gave.

    Raises:
        ExportError: For an input, none can be generated, and none were given.
    """
    words = words_of(request.source, variant)
    records = records_for(variant, words)
    found: list[Case] = []
    for name in request.signatures:
        signature = variant.signatures[name]
        given = list(examples.get(name, ()))
        if not (unsupported := find_unsupported(signature)):
            found += cases_of(name, signature, words, image_size(variant), records)
        elif not given:
            raise ExportError(
                f"Signature {name!r} cannot be verified: no values can be generated for {', '.join(unsupported)}",
                hint="give real ones with --example, or leave the signature out with --signature",
            )
        found += given
    return found


def validate_as_configured(hub: Hub, path: Path, spec: ModuleSpec) -> None:
    """Demands of a file that no plugin resolves what the configuration demands of its place.

    Raises:
        ValidationError: It does not keep a profile.
    """
    url = f"file://{quote(str(path.resolve()))}"
    demanded = [
        profile for prefix, profiles in hub.config.validate.items() if under_prefix(url, prefix) for profile in profiles
    ]
    findings = [finding for finding in hub.validate(spec, dict.fromkeys(demanded)) if finding.level == "error"]
    if findings:
        raise ValidationError(
            f"{path} does not keep {', '.join(demanded)}, which {hub.config.where} demands of it: "
            + "; ".join(f"{finding.rule}: {finding.message}" for finding in findings),
            findings=findings,
            hint="mend what is named, or ask its publisher to; the section validate demands it",
        )


def parse_tensors(given: Iterable[str], option: str) -> dict[str, str]:
    """``NAME=TENSOR`` options as a dict; the number of an output may be left out.

    Raises:
        ConfigError: One is not of this form, or a name comes twice.
    """
    found: dict[str, str] = {}
    for text in given:
        name, equals, tensor = text.partition("=")
        if not (name and equals and tensor) or name in found:
            problem = f"gives {name!r} a second time" if name in found else "is not of the form NAME=TENSOR"
            raise ConfigError(f"{option} {text} {problem}", hint=f"for example {option} default=embedding:0")
        found[name] = tensor if ":" in tensor else f"{tensor}:0"
    return found


def find_tensors_error(path: Path, inputs: Mapping[str, str], outputs: Mapping[str, str]) -> ConfigError | None:
    """What is wrong with the tensors that are named of a frozen graph; its own are listed.

    Raises:
        FormatError: It cannot be parsed, or has variables.
    """
    graph = Graph.parse(path.read_bytes(), str(path))
    nodes = {node.name: node for node in graph.nodes}
    if not nodes:
        raise FormatError(f"{path} is not a graph: it has no nodes", hint="give a frozen GraphDef, or a directory")
    variables = [node.name for node in graph.nodes if node.op in ("VarHandleOp", "VariableV2", "Variable")]
    if variables:
        raise FormatError(
            f"{path} has variables, whose values are not in it: {', '.join(variables[:_MOST_NAMES])}",
            hint="freeze the graph first: tf.compat.v1.graph_util.convert_variables_to_constants",
        )
    taken = {name.removeprefix("^").partition(":")[0] for node in graph.nodes for name in node.input}
    placeholders = [f"{name}:0" for name, node in nodes.items() if node.op.startswith("Placeholder")]
    last = [f"{name}:0" for name, node in nodes.items() if name not in taken and node.op != "NoOp"]
    there = (
        f"its placeholders are {', '.join(placeholders[:_MOST_NAMES]) or 'none'}; nothing takes "
        f"{', '.join(last[:_MOST_NAMES]) or 'none'}"
    )
    if not outputs:
        return ConfigError(
            f"{path} is a graph: which of its tensors are inputs and outputs has to be said; {there}",
            hint="for example --input text=Placeholder:0 --output default=embedding:0",
        )
    for tensor in (*inputs.values(), *outputs.values()):
        if (name := tensor.partition(":")[0]) not in nodes:
            return ConfigError(
                f"There is no tensor {tensor} in {path}; {there}",
                hint=nearest(name, list(nodes)) if len(nodes) <= _MOST_NAMES else None,
            )
    forgotten = [name for name in placeholders if name not in inputs.values() and nodes[name[:-2]].op == "Placeholder"]
    needed = _ancestors(nodes, [tensor.partition(":")[0] for tensor in outputs.values()], set(inputs.values()))
    missing = [name for name in forgotten if name[:-2] in needed]
    if missing:
        return ConfigError(
            f"The outputs need {', '.join(missing)}, which no --input names",
            hint=f"for example --input {missing[0].rpartition('/')[2][:-2]}={missing[0]}",
        )
    return None


def _ancestors(nodes: Mapping[str, object], outputs: Iterable[str], fed: Collection[str]) -> set[str]:
    found: set[str] = set()
    waiting = list(outputs)
    while waiting:
        name = waiting.pop()
        if name in found or name not in nodes or f"{name}:0" in fed:
            continue
        found.add(name)
        waiting += [each.removeprefix("^").partition(":")[0] for each in nodes[name].input]  # type: ignore[attr-defined]
    return found
