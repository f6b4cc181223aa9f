"""Code that applies a module, with its own input names and values that fit: what a page shows runs as it is pasted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import hubplug

_TEXTS = '["a first example", "and a second one"]'
_NAMED = {"string": '"text"', "bool": "True"}
_LARGEST_GUESS = 1


@dataclass(frozen=True)
class Example:
    """A piece of code.

    Attributes:
        title: How the module is used in it.
        code: The program.
    """

    title: str
    code: str


def examples(facts: Mapping[str, Any], handle: str) -> list[Example]:
    """Programs for a graph, eager execution and Keras, as far as the module can be used there.

    Args:
        facts: What is known of the module.
        handle: Its URL.
    """
    chosen = _chosen(facts)
    if chosen is None:
        return []
    tags, name, signature = chosen
    values = {key: _value(info, facts.get("image_size")) for key, info in signature["inputs"].items()}
    if not facts.get("instantiable"):
        return [Example("TensorFlow 2", _loaded(handle, name, values, tags))]
    fed = "{" + ", ".join(f"{key!r}: {value}" for key, value in values.items()) + "}"
    tagged = f", tags={{{', '.join(map(repr, tags))}}}" if tags else ""
    applied = f"module({fed}{'' if name == 'default' else f', signature={name!r}'}, as_dict=True)"
    graph = (
        "import hubplug as hub\nimport tensorflow as tf\n\n"
        "with tf.Graph().as_default():\n"
        f"    module = hub.Module({handle!r}{tagged})\n"
        f"    outputs = {applied}\n"
        "    with tf.compat.v1.Session() as session:\n"
        "        session.run([tf.compat.v1.global_variables_initializer(), tf.compat.v1.tables_initializer()])\n"
        "        print(session.run(outputs))"
    )
    found = [
        Example("In a graph (TensorFlow 1)", graph),
        Example(
            "Eagerly (TensorFlow 2)",
            f"import hubplug as hub\nimport tensorflow as tf\n\nmodule = hub.Module({handle!r}{tagged})\nprint({applied})",
        ),
    ]
    if "KerasLayer" in hubplug.__all__ and "default" in signature["outputs"]:
        named = "" if name == "default" else f", signature={name!r}, output_key='default'"
        given = _as_tensor(next(iter(values.values()))) if len(values) == 1 else fed
        found.append(
            Example(
                "As a Keras layer",
                "import hubplug as hub\nimport tensorflow as tf\n\n"
                f"layer = hub.KerasLayer({handle!r}{named}{tagged})\nprint(layer({given}))",
            )
        )
    return found


def _chosen(facts: Mapping[str, Any]) -> tuple[list[str], str, Mapping[str, Any]] | None:
    """The graph variant for inference, and its signature ``default`` or ``serving_default``, or else the first ones."""
    variants = facts.get("variants") or []
    variant = next((variant for variant in variants if variant["tags"] in ([], ["serve"])), None) or next(
        iter(variants), None
    )
    if variant is None or not variant["signatures"]:
        return None
    signatures = variant["signatures"]
    name = next((name for name in ("default", "serving_default") if name in signatures), next(iter(signatures)))
    return variant["tags"], name, signatures[name]


def _loaded(handle: str, name: str, values: Mapping[str, str], tags: list[str]) -> str:
    fed = ", ".join(f"{key!r}: {_as_tensor(value)}" for key, value in values.items())
    tagged = f", tags={tags!r}" if tags not in ([], ["serve"]) else ""
    return (
        "import hubplug as hub\nimport tensorflow as tf\n\n"
        f"model = hub.load({handle!r}{tagged})\nprint(model.signatures[{name!r}](**{{{fed}}}))"
    )


def _as_tensor(value: str) -> str:
    return f"tf.constant({value})" if value.startswith("[") else value


def _value(info: Mapping[str, Any], image_size: Any) -> str:
    """An expression for a value of that dtype and shape."""
    dtype, kind = str(info["dtype"]).removesuffix("_ref"), info["kind"]
    shape = [None] if info["shape"] is None else info["shape"]
    if dtype == "string" and len(shape) == 1 and kind == "dense" and shape[0] is None:
        return _TEXTS
    dims = [_LARGEST_GUESS if dim is None else dim for dim in shape]
    if image_size and len(shape) == 4 and dtype.startswith("float"):
        dims = [dims[0], *image_size, dims[3]]
    if dtype in _NAMED:
        value = f"tf.fill({dims}, {_NAMED[dtype]})"
    else:
        value = f"tf.zeros({dims})" if dtype == "float32" else f"tf.zeros({dims}, tf.{dtype})"
    if kind == "sparse":
        # Zeros would leave no value in it.
        filled = value if dtype in _NAMED else f"tf.ones({dims}, tf.{dtype})"
        return f"tf.sparse.from_dense({filled})"
    return f"tf.RaggedTensor.from_tensor({value})" if kind == "composite" and len(dims) > 1 else value
