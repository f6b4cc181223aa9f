"""Each application has a name scope in which the graph has no op yet, and nothing is collected while graphs are made."""

from __future__ import annotations

import gc

import pytest
import tensorflow as tf

from hubplug_tf1._application.scopes import ApplicationScopes
from hubplug_tf1._surroundings.collector import collector_paused

v1 = tf.compat.v1


def test_scopes_are_numbered() -> None:
    scopes = ApplicationScopes("module")
    with tf.Graph().as_default():
        assert [scopes.reserve("default") for _ in range(2)] == ["module_apply_default/", "module_apply_default_1/"]
        assert scopes.reserve("a:b") == "module_apply_a_b/"
        with v1.name_scope("around"):
            assert scopes.reserve("default") == "around/module_apply_default/"
    with tf.Graph().as_default():
        assert scopes.reserve("default") == "module_apply_default/"


def test_scopes_of_imported_ops_are_left_alone() -> None:
    with tf.Graph().as_default() as published:
        for name in (
            "module_apply_default/x",
            "module_apply_default_2/a/b",
            "outer/module_apply_default/x",
            "other_module_apply_default_1/x",
            "module_apply_default_3",
        ):
            tf.no_op(name=name)
    scopes = ApplicationScopes("module")
    with tf.Graph().as_default():
        tf.import_graph_def(published.as_graph_def(), name="")
        made = [scopes.reserve("default") for _ in range(3)]
        assert made == ["module_apply_default_1/", "module_apply_default_4/", "module_apply_default_5/"]
        tf.import_graph_def(published.as_graph_def(), name="later")
        with v1.name_scope("outer"):
            assert scopes.reserve("default") == "outer/module_apply_default_1/"


def test_the_collector_is_as_it_was_afterwards() -> None:
    assert gc.isenabled()
    with pytest.raises(ValueError, match="inside"), collector_paused():
        assert not gc.isenabled()
        with collector_paused():
            assert not gc.isenabled()
        assert not gc.isenabled()
        raise ValueError("inside")
    assert gc.isenabled()
    gc.disable()
    try:
        with collector_paused():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
