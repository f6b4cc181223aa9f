"""``ApplyToFiles`` on Beam's local runner: the same numbers as a plain loop, whatever the rows are and whichever of them fail."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apache_beam as beam
import fsspec
import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from apache_beam.internal import pickler
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.typehints.decorators import TypeCheckError
from pyarrow import parquet

import hubplug
from hubplug.errors import ConfigError, InputError
from hubplug_beam import ApplyToFiles, FailedRow, Shard
from hubplug_beam._cutting import plan_parts

tf1 = tf.compat.v1
Export = Callable[..., str]


def apply(files: list[str], *arguments: Any, **options: Any) -> tuple[list[Shard], list[FailedRow], Any]:
    """Runs a pipeline; its shards, failed rows and metrics."""
    shards, failed = [], []
    pipeline = beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions([]))
    done = pipeline | beam.Create(files) | ApplyToFiles(*arguments, **options)
    folder = Path(files[0]).parent / "seen" if "://" not in files[0] else Path()
    folder.mkdir(exist_ok=True)
    # Elements of an in-process runner are pickled: they are written down to be looked at.
    _ = done.shards | "Shards" >> beam.Map(_note, str(folder / "shards"))
    _ = done.failed | "Failed" >> beam.Map(_note, str(folder / "failed"))
    result = pipeline.run()
    result.wait_until_finish()
    for kind, found, name in ((Shard, shards, "shards"), (FailedRow, failed, "failed")):
        if (folder / name).exists():
            found.extend(kind(**json.loads(line)) for line in (folder / name).read_text().splitlines())
            (folder / name).unlink()
    return sorted(shards, key=lambda shard: shard.path), failed, result.metrics()


def _note(element: Any, path: str) -> None:
    with open(path, "a") as file:
        file.write(json.dumps(vars(element)) + "\n")


def read_jsonl(path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def write_jsonl(path: Path, rows: list[Any]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def test_ten_thousand_rows_of_a_hundred_files_are_those_of_a_plain_loop(text_module: Path, tmp_path: Path) -> None:
    words = [
        "the",
        "stripped",
        "characters",
        "of",
        "a",
        "string",
        "are",
        "compared",
        "by",
        "value",
        "and",
        "returned",
        "as",
        "list",
        "if",
        "any",
    ]
    random = np.random.default_rng(0)
    texts = [[" ".join(random.choice(words, 8)) for _ in range(100)] for _ in range(100)]
    files = []
    for number, lines in enumerate(texts):
        (tmp_path / f"{number:03}.txt").write_text("\n".join(lines))
        files.append(str(tmp_path / f"{number:03}.txt"))
    shards, failed, metrics = apply(files, str(text_module), str(tmp_path / "out" / "*.parquet"), batch_size=32)
    assert failed == []
    assert [shard.rows for shard in shards] == [100] * 100
    module = hubplug.Module(str(text_module))
    for shard, lines in zip(shards, texts, strict=True):
        plain = np.concatenate([module(lines[start : start + 32]).numpy() for start in range(0, 100, 32)])
        table = parquet.read_table(shard.path)
        assert table.schema.field("default").type == pa.list_(pa.float32(), 32)
        found = table["default"].combine_chunks().flatten().to_numpy().reshape(100, 32)
        assert found.tobytes() == plain.tobytes()
    counted = {counter.key.metric.name: counter.committed for counter in metrics.query()["counters"]}
    assert counted == {"rows": 10_000, "failed_rows": 0, "shards": 100, "input_bytes": sum(map(_size, files))}
    spread = {one.key.metric.name: one.committed for one in metrics.query()["distributions"]}
    assert spread["batch_size"].max == 32
    assert spread["batch_latency_microseconds"].count == 400
    assert spread["load_milliseconds"].count == 1
    assert spread["model_bytes"].max == 958 * 32 * 4
    assert "tensorflow_hub" not in sys.modules


def _size(path: str) -> int:
    return Path(path).stat().st_size


def test_a_module_of_many_inputs_gives_what_it_gave_elsewhere(shared_modules: Path, tmp_path: Path) -> None:
    reference = np.load(shared_modules / "DM21m.ref.npz")
    inputs = {name[4:]: reference[name] for name in reference if name.startswith("in__")}
    columns = {
        name: pa.FixedSizeListArray.from_arrays(pa.array(value.ravel()), value[0].size) if value.ndim > 1 else value
        for name, value in inputs.items()
    }
    parquet.write_table(pa.table(columns), tmp_path / "grid.parquet")
    (shard,), failed, _ = apply(
        [str(tmp_path / "grid.parquet")],
        str(shared_modules / "DM21m"),
        str(tmp_path / "out-*.parquet"),
        select=["grid_contribution"],
        batch_size=4096,
    )
    assert failed == []
    found = parquet.read_table(shard.path)["grid_contribution"].to_numpy()
    module = hubplug.Module(str(shared_modules / "DM21m"))
    plain = module(inputs, as_dict=True)["grid_contribution"].numpy()
    assert found.tobytes() == plain.tobytes()
    expected = reference["out__grid_contribution"]
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()
    with pytest.raises(InputError, match="one value for a batch"):
        ApplyToFiles(str(shared_modules / "DM21m"), "out-*.parquet", as_dict=True)


def _numbers() -> None:
    texts = tf1.placeholder(tf.string, [None])
    hubplug.add_signature(inputs={"text": texts}, outputs=tf.strings.to_number(texts))


def test_a_poisoned_row_costs_that_row_alone(export: Export, tmp_path: Path) -> None:
    rows: list[Any] = [{"id": number, "text": str(number)} for number in range(100)]
    rows[17]["text"] = "not a number"
    rows[40] = {"id": 40}
    source = write_jsonl(tmp_path / "a.jsonl", rows)
    Path(source).write_text(Path(source).read_text().replace('{"id": 60, "text": "60"}', "broken"))
    (shard,), failed, _ = apply(
        [source], export(_numbers), str(tmp_path / "out" / "*.jsonl"), keep=["id"], batch_size=25
    )
    assert (shard.rows, shard.failed) == (97, 3)
    assert {row["id"]: row["default"] for row in read_jsonl(shard.path)} == {
        number: number for number in range(100) if number not in (17, 40, 60)
    }
    reasons = {row.row: row.reason for row in failed}
    assert reasons.keys() == {17, 40, 60}
    assert "not a number" in reasons[17]
    assert "column 'text'" in reasons[40]
    assert "JSON" in reasons[60]
    assert {row["row"] for row in read_jsonl(f"{shard.path}.failed")} == {17, 40, 60}


def test_a_damaged_file_stops_no_other_one(export: Export, tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_text("damaged")
    parquet.write_table(pa.table({"text": ["1", "2"]}), tmp_path / "b.parquet")
    files = [str(tmp_path / name) for name in ("a.parquet", "b.parquet")]
    shards, failed, _ = apply(files, export(_numbers), str(tmp_path / "out" / "*.csv"))
    assert [shard.rows for shard in shards] == [2]
    assert Path(shards[0].path).read_bytes() == b"default\r\n1.0\r\n2.0\r\n"
    assert [(row.file, row.row) for row in failed] == [(files[0], None)]


def _kinds() -> None:
    sparse = tf1.sparse_placeholder(tf.float32, [None, 6])
    hubplug.add_signature(
        "sparse", inputs={"x": sparse}, outputs={"default": tf.sparse.reduce_sum(sparse, 1), "same": sparse}
    )
    ragged = tf1.ragged.placeholder(tf.int64, 1, [])
    hubplug.add_signature("ragged", inputs={"x": ragged}, outputs={"default": tf.reduce_sum(ragged, 1), "same": ragged})
    texts = tf1.placeholder(tf.string, [None])
    hubplug.add_signature("upper", inputs={"x": texts}, outputs=tf.strings.upper(texts))
    rows = tf1.placeholder(tf.float32, [None])
    hubplug.add_signature(
        "size", inputs={"x": rows}, outputs=tf.zeros_like(rows) + tf.cast(tf.shape(rows)[0], tf.float32)
    )
    images = tf1.placeholder(tf.float32, [None, 2, 2, 3])
    hubplug.add_signature("image", inputs={"images": images}, outputs=tf.reduce_max(images, [1, 2]))


@pytest.mark.parametrize(
    ("signature", "values", "expected"),
    [
        ("sparse", [[1, 2], {"indices": [5], "values": [3]}], [3, 3]),
        ("ragged", [[1, 2, 3], []], [6, 0]),
        ("upper", ["straße", "b"], ["STRAßE", "B"]),
    ],
)
def test_inputs_of_every_kind_come_from_rows(
    signature: str, values: list[Any], expected: list[Any], export: Export, tmp_path: Path
) -> None:
    source = write_jsonl(tmp_path / "a.jsonl", [{"x": value} for value in values])
    module = export(_kinds)
    (shard,), failed, _ = apply([source], module, str(tmp_path / "out" / "*.jsonl"), signature=signature)
    assert failed == []
    assert [row["default"] for row in read_jsonl(shard.path)] == expected
    if signature != "upper":
        (shard,), _, _ = apply([source], module, str(tmp_path / "all" / "*.jsonl"), signature=signature, as_dict=True)
        found = [row["same"] for row in read_jsonl(shard.path)]
        assert found == (values if signature == "ragged" else [{"indices": [0, 1], "values": [1, 2]}, values[1]])


def test_pictures_are_decoded_and_resized(export: Export, tmp_path: Path) -> None:
    for name, value in (("a", 255), ("b", 0)):
        picture = tf.io.encode_png(np.full([4, 6, 3], value, np.uint8))
        (tmp_path / f"{name}.png").write_bytes(picture.numpy())
    (tmp_path / "c.png").write_text("no picture")
    module = export(_kinds)
    _, parts = plan_parts(str(tmp_path / "*.png"))
    pipeline = beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions([]))
    _ = (
        pipeline
        | beam.Create(parts)
        | ApplyToFiles(module, str(tmp_path / "out" / "*.jsonl"), signature="image", form="images", keep=["path"])
    )
    pipeline.run().wait_until_finish()
    found = read_jsonl(str(tmp_path / "out" / "00000-of-00001.jsonl"))
    assert [row["default"] for row in found] == [pytest.approx([1, 1, 1]), [0, 0, 0]]
    (failed,) = read_jsonl(str(tmp_path / "out" / "00000-of-00001.jsonl.failed"))
    assert failed["file"].endswith("c.png")


def test_examples_in_records_are_read_and_written(export: Export, tmp_path: Path) -> None:
    source = str(tmp_path / "a.tfrecord")
    with tf.io.TFRecordWriter(source) as records:
        for value in (1.5, 2.5):
            feature = tf.train.Feature(float_list=tf.train.FloatList(value=[value]))
            records.write(tf.train.Example(features=tf.train.Features(feature={"x": feature})).SerializeToString())
        records.write(b"no example")
    (shard,), failed, _ = apply(
        [source], export(_kinds), str(tmp_path / "*-out.tfrecord"), signature="size", keep=["x"]
    )
    assert [row.row for row in failed] == [2]
    examples = [tf.train.Example.FromString(record.numpy()) for record in tf.data.TFRecordDataset(shard.path)]
    assert [example.features.feature["default"].float_list.value[0] for example in examples] == [2, 2]
    assert [example.features.feature["x"].float_list.value[0] for example in examples] == [1.5, 2.5]


@pytest.mark.parametrize(("padding", "sizes"), [("none", {4.0, 3.0}), ("full", {4.0})])
def test_padding_makes_batches_of_one_shape_and_no_more_rows(
    padding: str, sizes: set[float], export: Export, tmp_path: Path
) -> None:
    source = write_jsonl(tmp_path / "a.jsonl", [{"x": number} for number in range(7)])
    (shard,), _, _ = apply(
        [source], export(_kinds), str(tmp_path / "out" / "*.jsonl"), signature="size", batch_size=4, padding=padding
    )
    found = [row["default"] for row in read_jsonl(shard.path)]
    assert len(found) == 7
    assert set(found) == sizes


def test_shards_are_objects_of_a_store(export: Export, tmp_path: Path) -> None:
    fsspec.filesystem("memory").pipe("/shards/in/a.jsonl", b'{"text": "1"}\n{"text": "x"}\n')
    pipeline = beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions([]))
    _ = (
        pipeline
        | beam.Create(["memory://shards/in/a.jsonl"])
        | ApplyToFiles(export(_numbers), "memory://shards/out/*.jsonl")
    )
    pipeline.run().wait_until_finish()
    written = fsspec.filesystem("memory").find("/shards/out")
    assert [Path(path).suffixes for path in sorted(written)] == [[".jsonl"], [".jsonl", ".failed"]]
    assert fsspec.filesystem("memory").cat(sorted(written)[0]) == b'{"default": 1.0}\n'


def test_beam_checks_what_comes_in(export: Export) -> None:
    pipeline = beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions([]))
    with pytest.raises(TypeCheckError):
        _ = pipeline | beam.Create([1, 2]) | ApplyToFiles(export(_numbers), "out/*.jsonl")


def test_no_credential_is_in_the_pipeline(export: Export, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_TOKEN", "s3cr3t-of-the-environment")
    rules = [{"prefix": "https://models.example/", "token": "${HUB_TOKEN}"}]
    hub = hubplug.Hub({"chain": ["auth", "file", "http", "tf1"], "plugins": {"auth": {"options": {"rules": rules}}}})
    transform = ApplyToFiles(export(_numbers), "out/*.jsonl", hub=hub)
    pipeline = beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions([]))
    _ = pipeline | beam.Create(["a.jsonl"]) | transform
    stored = pipeline.to_runner_api().SerializeToString() + pickler.dumps(transform)
    decoded = str(vars(pickler.loads(pickler.dumps(transform))._function))
    assert "HUB_TOKEN" in decoded
    assert b"s3cr3t" not in stored
    assert "s3cr3t" not in decoded
    with pytest.raises(ConfigError, match="a user, a password or a query"):
        ApplyToFiles(export(_numbers, name="other"), "https://me:s3cr3t@store.example/*.jsonl")


def test_steps_of_one_process_share_one_module(
    export: Export, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    module = export(_numbers)
    source = write_jsonl(tmp_path / "a.jsonl", [{"text": "1"}])
    pipeline = beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions([]))
    files = pipeline | beam.Create([source])
    with caplog.at_level(logging.INFO, "hubplug_beam"):
        for name in ("one", "two"):
            _ = files | name >> ApplyToFiles(module, str(tmp_path / name / "*.jsonl"))
        pipeline.run().wait_until_finish()
    assert sum(record.getMessage().startswith(f"loaded {module}") for record in caplog.records) == 1


def _ragged(depth: int, inner: tuple[int, ...] = ()) -> Callable[[], None]:
    def build() -> None:
        x = tf1.ragged.placeholder(tf.int32, depth, list(inner))
        hubplug.add_signature(inputs={"x": x}, outputs={"default": x * 2})

    return build


@pytest.mark.parametrize(
    ("depth", "inner", "rows", "failing"),
    [
        (1, (), [[1], [], [[1, 2], [7]], [1, 2]], [2]),
        (2, (), [[[1]], [], [[], [2, 3]], [4]], [3]),
        (2, (), [[], []], []),
        (1, (3,), [[[1, 2, 3]], [], [[1, 2]]], [2]),
    ],
)
def test_a_ragged_input_takes_rows_of_its_depth_alone(
    depth: int, inner: tuple[int, ...], rows: list[Any], failing: list[int], tmp_path: Path, export: Export
) -> None:
    source = write_jsonl(tmp_path / "a.jsonl", [{"x": row} for row in rows])
    (shard,), failed, _ = apply([source], export(_ragged(depth, inner)), str(tmp_path / "out" / "*.jsonl"))
    assert [row.row for row in failed] == failing
    doubled = [(np.array(row, object) * 2).tolist() if inner else _doubled(row) for row in rows]
    assert [row["default"] for row in read_jsonl(shard.path)] == [
        value for number, value in enumerate(doubled) if number not in failing
    ]


def _doubled(value: Any) -> Any:
    return [_doubled(one) for one in value] if isinstance(value, list) else value * 2


@pytest.mark.parametrize("dtype", [tf.bfloat16, tf.float16, tf.uint64])
def test_numbers_of_every_width_come_through(dtype: tf.DType, tmp_path: Path, export: Export) -> None:
    def build() -> None:
        x = tf1.placeholder(dtype, [None])
        hubplug.add_signature(inputs=x, outputs=tf.identity(x))

    source = write_jsonl(tmp_path / "a.jsonl", [{"default": 1}, {"default": 2.0}])
    (shard,), failed, _ = apply([source], export(build), str(tmp_path / "out" / "*.parquet"))
    assert failed == []
    assert parquet.read_table(shard.path).column("default").to_pylist() == [1, 2]


def test_kept_values_come_into_records_as_they_are(tmp_path: Path, export: Export) -> None:
    table = pa.table({"text": ["1", "2", "3"], "kept": pa.array(["1.10", None, "7"]).cast(pa.decimal128(5, 2))})
    parquet.write_table(table, tmp_path / "a.parquet")
    (shard,), failed, _ = apply(
        [str(tmp_path / "a.parquet")], export(_numbers), str(tmp_path / "out" / "*.tfrecord"), keep=["kept"]
    )
    assert failed == []
    kept = [
        tf.train.Example.FromString(record).features.feature["kept"].bytes_list.value
        for record in tf.compat.v2.data.TFRecordDataset(shard.path).as_numpy_iterator()
    ]
    assert [list(values) for values in kept] == [[b"1.10"], [], [b"7.00"]]
