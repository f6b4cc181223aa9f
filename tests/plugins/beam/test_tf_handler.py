"""``ModuleHandler`` in ``RunInference``: rows, pairs, record batches, failures, and a model that is updated."""

from __future__ import annotations

import shutil
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pytest
from apache_beam.ml.inference.base import ModelMetadata, RunInference
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that

import hubplug
from hubplug.errors import ConfigError, DigestMismatch, InputError
from hubplug.testing import write_tiny_module
from hubplug_beam import ArrowModuleHandler, Failure, ModuleHandler, keyed

Check = Callable[[list[Any]], None]


@pytest.fixture
def module(tmp_path: Path) -> str:
    return str(write_tiny_module(tmp_path / "module", scale=2.0))


def infer(elements: list[Any], handler: Any, check: Check, **options: Any) -> None:
    pipeline = beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions([]))
    found = pipeline | beam.Create(elements) | RunInference(handler, **options)
    assert_that(found, check)
    pipeline.run().wait_until_finish()


def test_rows_are_dicts_or_values_of_the_only_input(module: str) -> None:
    def check(found: list[Any]) -> None:
        assert sorted(float(result.inference) for result in found) == [2.0, 4.0, 6.0, 8.0]
        assert all(result.inference.dtype == np.float32 for result in found)

    infer([1.0, {"x": 2.0}, {"x": 3}, 4], ModuleHandler(module), check)


def test_all_outputs_come_as_a_dict(module: str) -> None:
    def check(found: list[Any]) -> None:
        assert [result.inference for result in found] == [{"default": 2.0}]
        assert [result.example for result in found] == [{"value": 1.0}]

    infer([{"value": 1.0}], ModuleHandler(module, columns={"x": "value"}, as_dict=True), check)


def test_keys_come_back_beside_predictions(module: str) -> None:
    def check(found: list[Any]) -> None:
        assert {key: float(result.inference) for key, result in found} == {"a": 2.0, "b": 4.0}

    infer([("a", 1.0), ("b", 2.0)], keyed(ModuleHandler(module)), check)


def test_record_batches_give_record_batches(module: str) -> None:
    rows = pa.RecordBatch.from_pydict({"x": np.arange(10, dtype=np.float64)})

    def check(found: list[Any]) -> None:
        (result,) = found
        assert result.inference.schema == pa.schema([("default", pa.float32())])
        assert result.inference["default"].to_pylist() == [2.0 * number for number in range(10)]

    infer([rows], ArrowModuleHandler(module, batch_size=4), check)


def test_rows_that_fail_are_marked_with_the_reason(module: str) -> None:
    def check(found: list[Any]) -> None:
        failed = [result for result in found if isinstance(result.inference, Failure)]
        assert [result.example for result in failed] == ["poison"]
        assert "expected float32" in failed[0].inference.reason
        assert sorted(float(result.inference) for result in found if result not in failed) == [2.0, 4.0]

    infer([1.0, "poison", 2.0], ModuleHandler(module, mark_failures=True), check)


def test_a_side_input_updates_the_module(module: str, tmp_path: Path) -> None:
    newer = str(write_tiny_module(tmp_path / "newer", scale=10.0))

    def check(found: list[Any]) -> None:
        assert [float(result.inference) for result in found] == [30.0]
        assert [result.model_id for result in found] == [newer]

    pipeline = beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions([]))
    updates = pipeline | "Updates" >> beam.Create([ModelMetadata(model_id=newer, model_name="newer")])
    found = pipeline | beam.Create([3.0]) | RunInference(ModuleHandler(module), model_metadata_pcoll=updates)
    assert_that(found, check)
    pipeline.run().wait_until_finish()


def test_an_update_with_other_inputs_is_refused(module: str, shared_modules: Path) -> None:
    handler = ModuleHandler(module)
    handler.update_model_path(str(shared_modules / "DM21m"))
    with pytest.raises((InputError, hubplug.HubplugError)):
        handler.load_model()


def test_a_module_that_changed_since_is_refused_by_workers(module: str) -> None:
    handler = ModuleHandler(module)
    shutil.rmtree(module)
    write_tiny_module(module, scale=3.0)
    with pytest.raises(DigestMismatch, match="not what it was when the pipeline was made"):
        handler.load_model()


def test_updates_have_to_be_pinned_where_the_configuration_says_locked(module: str) -> None:
    handler = ModuleHandler(module, hub=hubplug.Hub({"chain": ["file", "tf1"], "locked": True}))
    with pytest.raises(DigestMismatch, match="not pinned"):
        handler.update_model_path("https://models.example/m/2")
    handler.update_model_path(f"https://models.example/m/2#sha256={'0' * 64}")
    handler.update_model_path(module)


def test_the_model_can_be_weakly_referenced_and_says_how_large_it_is(module: str) -> None:
    model = ModuleHandler(module).load_model()
    assert weakref.ref(model)() is model
    assert model.bytes == 4
    assert ModuleHandler(module).load_model() is model


def test_arguments_that_a_module_does_not_have_are_refused(module: str) -> None:
    with pytest.raises(ConfigError, match="takes no inference_args"):
        ModuleHandler(module).validate_inference_args({"temperature": 1})
    with pytest.raises(InputError, match="no input 'y'"):
        ModuleHandler(module, columns={"y": "z"})
