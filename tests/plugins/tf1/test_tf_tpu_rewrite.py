"""A module in a graph that is rewritten for TPUs; making such a graph needs no TPU."""

from __future__ import annotations

import pytest
import tensorflow as tf

import hubplug

v1 = tf.compat.v1


def linear() -> None:
    x = v1.placeholder(tf.float32, [None, 3])
    w = v1.get_variable("w", [3, 2], initializer=v1.ones_initializer())
    hubplug.add_signature(inputs=x, outputs=tf.matmul(x, w))


@pytest.mark.parametrize("trainable", [False, True])
@pytest.mark.parametrize("inside", [False, True])
def test_a_module_works_in_a_computation_that_is_rewritten(trainable: bool, inside: bool) -> None:
    spec = hubplug.create_module_spec(linear)
    with tf.Graph().as_default() as graph:
        outside = None if inside else hubplug.Module(spec, trainable=trainable)

        def computation(x: tf.Tensor) -> tf.Tensor:
            module = outside or hubplug.Module(spec, trainable=trainable)
            return module(x)

        (output,) = v1.tpu.rewrite(computation, [tf.ones([4, 3])])
        assert output.shape.as_list() == [4, 2]
        assert [variable.name for variable in v1.global_variables()] == ["module/w:0"]
        assert len(v1.trainable_variables()) == int(trainable)
        (state,) = (op for op in graph.get_operations() if op.type == "VarHandleOp")
        assert state.name == "module/w"
        applied = graph.get_operation_by_name("module_apply_default/MatMul")
        # The application is part of what runs on the TPU.
        assert "_tpu_replicate" in applied.node_def.attr
