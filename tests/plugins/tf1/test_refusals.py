"""What is not a module, where TensorFlow is not imported: an error of hubplug's own, and TensorFlow stays away."""

from __future__ import annotations

from pathlib import Path

import pytest

from hubplug.testing import run_without
from hubplug_format import ModuleBuilder, write_module


@pytest.fixture
def module(tmp_path: Path) -> Path:
    builder = ModuleBuilder()
    x = builder.placeholder("x", "float32", [None])
    builder.signature(inputs={"x": x}, outputs={"default": x})
    write_module(tmp_path / "m", builder)
    return tmp_path / "m"


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ("tfhub_module.pb", "m is a TF1 SavedModel, not in TF1 Hub format"),
        ("saved_model.pb", "m/saved_model.pb is missing"),
    ],
)
def test_the_error_is_plain_and_tensorflow_is_not_imported(
    module: Path, tmp_path: Path, missing: str, words: str
) -> None:
    (module / missing).unlink()
    said = run_without(
        "tensorflow",
        code=f"""
            import sys
            import hubplug
            with hubplug.Hub({{"chain": ["file", "tf1", "savedmodel"]}}).activate():
                try:
                    hubplug.load_module_spec({str(module)!r})
                except hubplug.errors.FormatError as error:
                    print(type(error).__name__, "tensorflow" in sys.modules, error.message)
        """,
        cwd=tmp_path,
    )
    assert said.startswith("FormatError False ")
    assert words in said


def test_a_chain_without_the_plugin_for_saved_models_names_the_marker(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    said = run_without(
        "tensorflow",
        code=f"""
            import hubplug
            with hubplug.Hub({{"chain": ["file", "tf1"]}}).activate():
                try:
                    hubplug.load_module_spec({str(tmp_path / "empty")!r})
                except hubplug.errors.FormatError as error:
                    print(type(error).__name__, error.message)
        """,
        cwd=tmp_path,
    )
    empty = tmp_path / "empty"
    assert said == f"FormatError {empty} is not a module that this chain can read: {empty} has no tfhub_module.pb\n"
