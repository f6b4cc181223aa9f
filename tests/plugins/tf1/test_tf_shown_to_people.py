"""What a person sees who asks Python about a module: help(), print() and repr()."""

from __future__ import annotations

import pydoc
from pathlib import Path

import tensorflow as tf

import hubplug

tf1 = tf.compat.v1


def module_fn() -> None:
    number = tf1.placeholder(tf.float32, [None])
    hubplug.add_signature(inputs=number, outputs=number * tf1.get_variable("w", [], initializer=tf1.ones_initializer()))
    hubplug.add_signature("twice", inputs=number, outputs=number * 2)


def test_help_shows_the_names_that_need_tensorflow() -> None:
    text = pydoc.plain(pydoc.render_doc(hubplug))
    assert "add_signature(" in text
    assert "class ImageModuleInfo(" in text


def test_a_spec_and_a_module_say_what_they_are(tmp_path: Path) -> None:
    spec = hubplug.create_module_spec(module_fn, tags_and_args=[(set(), {}), ({"train"}, {})])
    said = "[] (inference) with default, twice; ['train'] with default, twice>"
    assert str(spec) == f"<GraphSpec: {said}"
    with tf.Graph().as_default(), tf1.Session() as session:
        module = hubplug.Module(spec)
        trained = hubplug.Module(spec, trainable=True, tags={"train"})
        assert repr(module) == f"<Module 'module', tags [] of {spec}>"
        assert repr(trained) == f"<Module 'module_1', trainable, tags ['train'] of {spec}>"
        session.run(tf1.global_variables_initializer())
        module.export(str(tmp_path / "m"), session)
    assert str(hubplug.load_module_spec(str(tmp_path / "m"))) == f"<GraphSpec at {tmp_path / 'm'}: {said}"
