"""Plain SavedModels are recognized, shown, and not mistaken for modules."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from hubplug.errors import FormatError, UnknownTagsError
from hubplug.types import Declined, Handle, LocalModule
from hubplug_format import ModuleBuilder, write_module
from hubplug_savedmodel import SavedModel

NEITHER = "neither saved_model.pb nor saved_model.pbtxt"


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """A TF1 SavedModel: what write_module writes, without tfhub_module.pb."""
    builder = ModuleBuilder(["serve"])
    builder.signature("serving_default", outputs={"default": builder.constant(1.0)})
    builder.signature("__saved_model_init_op", outputs={"__saved_model_init_op": builder.constant(1.0)})
    write_module(tmp_path / "plain", builder)
    (tmp_path / "plain" / "tfhub_module.pb").unlink()
    return tmp_path / "plain"


def answer(path: Path) -> Any:
    return SavedModel().hubplug_load_format(LocalModule(path, Handle.parse(str(path))))


def test_its_signatures_can_be_shown(plain: Path) -> None:
    spec = answer(plain)
    assert spec.get_tags() == [frozenset({"serve"})]
    assert list(spec.signatures({"serve"})) == ["serving_default"]
    assert spec.describe()["format"] == "TF1 SavedModel"
    assert spec.describe()["variables"] == {"count": 0, "bytes": 0, "data_files": 0}
    assert spec.directory == plain


def test_it_pickles(plain: Path) -> None:
    assert list(pickle.loads(pickle.dumps(answer(plain))).signatures(["serve"])) == ["serving_default"]


def test_unknown_tags_list_those_there_are(plain: Path) -> None:
    with pytest.raises(UnknownTagsError, match=r"\['serve'\]"):
        answer(plain).signatures()


@pytest.mark.parametrize("use", ["instantiate", "get_input_info_dict", "get_output_info_dict"])
def test_using_it_as_a_module_says_what_it_is_and_what_to_call(plain: Path, use: str) -> None:
    arguments = ("module", False, frozenset()) if use == "instantiate" else ()
    with pytest.raises(FormatError, match=r"is a TF1 SavedModel, not in TF1 Hub format") as caught:
        getattr(answer(plain), use)(*arguments)
    assert "create_module_spec_from_saved_model" in str(caught.value.hint)
    assert "hubplug.load" in str(caught.value.hint)


def test_a_module_in_tf1_hub_format_is_left_to_others(tmp_path: Path) -> None:
    write_module(tmp_path / "m", ModuleBuilder())
    assert isinstance(answer(tmp_path / "m"), Declined)


def test_a_damaged_one_is_an_error(plain: Path) -> None:
    (plain / "saved_model.pb").write_bytes(b"<html>")
    with pytest.raises(FormatError, match="is damaged"):
        answer(plain)


def test_an_outer_directory_asks_whether_the_inner_one_was_meant(plain: Path) -> None:
    declined = answer(plain.parent)
    assert isinstance(declined, Declined)
    assert (
        declined.reason == f"no SavedModel in {plain.parent}: it contains {NEITHER}, but plain/; did you mean {plain}?"
    )


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("model.tflite", "a TensorFlow Lite model"),
        ("weights.h5", "a Keras file"),
        ("model.json", "a TensorFlow.js model"),
        ("m.tar.gz", "an archive"),
        ("model.ckpt-7.index", "a checkpoint"),
    ],
)
def test_other_models_are_called_what_they_are(tmp_path: Path, name: str, kind: str) -> None:
    (tmp_path / name).write_bytes(b"")
    assert (
        answer(tmp_path).reason
        == f"no SavedModel in {tmp_path}: it contains {NEITHER}, but {name}, which looks like {kind}"
    )


def test_an_empty_directory_is_called_so(tmp_path: Path) -> None:
    assert answer(tmp_path).reason == f"no SavedModel in {tmp_path}: it contains {NEITHER}, but nothing"
