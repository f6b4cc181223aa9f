"""Decisions about pieces of graphs, on protos alone."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from hubplug_tf1._application.op_by_op import _sorted
from hubplug_tf1._graph.colocation import Constraint, constraints_of, find_ambiguity
from hubplug_tf1._graph.renaming import rename_node
from hubplug_tf1._graph.subgraph import dependent_nodes, needed_nodes, reachable_functions


def graph(**inputs: list[str]) -> dict[str, Any]:
    """NodeDefs by name, from their inputs."""
    graph_def = tf.compat.v1.GraphDef()
    for name, edges in inputs.items():
        graph_def.node.add(name=name, op="Op", input=edges)
    return {node.name: node for node in graph_def.node}


CHAIN = graph(x=[], w=[], a=["x", "w"], b=["a:1", "^c"], c=["x"], other=["b"])


def test_what_is_needed_includes_control_edges() -> None:
    assert needed_nodes(CHAIN, ["b:0"]) == {"b", "a", "x", "w", "c"}


def test_what_is_provided_is_not_needed() -> None:
    assert needed_nodes(CHAIN, ["b"], cut_tensors={"a:1"}, cut_ops={"x"}) == {"b", "c"}
    assert needed_nodes(CHAIN, ["a:1"], cut_tensors={"a:1"}) == set()


def test_another_output_of_an_op_that_is_fed_in_part_is_needed() -> None:
    assert needed_nodes(CHAIN, ["b"], cut_tensors={"a:0"}) == {"b", "a", "x", "w", "c"}


def test_what_depends_on_an_op() -> None:
    assert dependent_nodes(CHAIN, ["c"]) == {"c", "b", "other"}
    assert dependent_nodes(CHAIN, ["w"], cut_tensors={"a:1"}) == {"w", "a"}


def test_functions_are_reached_through_attributes_types_and_gradients() -> None:
    library = tf.compat.v1.GraphDef().library
    for name in ("direct", "through_attribute", "in_list", "inner", "gradient", "unused"):
        library.function.add().signature.name = name
    functions = {each.signature.name: each for each in library.function}
    functions["direct"].node_def.add(name="n", op="inner")
    nodes = graph(a=[], b=[], c=[])
    nodes["a"].op = "direct"
    nodes["b"].attr["f"].func.name = "through_attribute"
    nodes["c"].attr["branches"].list.func.add(name="in_list")
    reached = reachable_functions(functions, nodes.values(), {"inner": "gradient", "unused": "unused"})
    assert reached == {"direct", "through_attribute", "in_list", "inner", "gradient"}


def test_nodes_are_put_in_an_order_in_which_they_can_be_made() -> None:
    nodes = graph(b=["a"], a=["outside"], c=["^b"])
    assert [node.name for node in _sorted(nodes.values()) or ()] == ["a", "b", "c"]


def test_nodes_in_a_cycle_have_no_such_order() -> None:
    assert _sorted(graph(merge=["enter", "next"], enter=[], next=["merge"]).values()) is None


def test_a_node_is_renamed_with_its_inputs_and_its_frame() -> None:
    node = graph(a=["x:1", "^y"])["a"]
    node.op = "Enter"
    node.attr["frame_name"].s = b"frame"
    rename_node(node, tuple(node.input), "s/")
    assert (node.name, list(node.input), node.attr["frame_name"].s) == ("s/a", ["s/x:1", "^s/y"], b"s/frame")


def test_constraints_distinguish_imported_and_replaced_ops() -> None:
    nodes = graph(a=[], w=[], b=[])
    nodes["b"].attr["_class"].list.s.extend([b"loc:@a", b"loc:@w", b"something"])
    assert constraints_of(nodes, ["a", "b"], {"w"}) == {"b": Constraint((b"something",), ("a",), ("w",))}


def test_looking_for_constraints_adds_no_attribute() -> None:
    nodes = graph(a=[])
    constraints_of(nodes, ["a"], ())
    assert "_class" not in nodes["a"].attr


def test_outputs_that_agree_are_not_ambiguous() -> None:
    groups = {"y:0": ([b"loc:@a"], "one"), "y:1": ([b"loc:@a"], "two")}
    assert find_ambiguity(groups, groups.__getitem__) == ([b"loc:@a"], None)


def test_outputs_that_disagree_are_explained() -> None:
    groups = {"y:0": ([b"loc:@a"], "one"), "y:1": ([b"loc:@b"], "two")}
    _, problem = find_ambiguity(groups, groups.__getitem__)
    assert problem == "['loc:@a'] vs ['loc:@b'] because one and two, respectively"
