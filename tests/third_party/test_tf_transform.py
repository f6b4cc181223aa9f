"""A module in tf.Transform's ``preprocessing_fn``: what it writes has the variables, tables and assets of the module."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import tensorflow as tf

import hubplug as hub
from tests.module_kinds import export, sparse_text_embedding

tft = pytest.importorskip("tensorflow_transform", reason="run by `tox run -e recipes`")
tft_beam = pytest.importorskip("tensorflow_transform.beam")

# Those of tf.Transform and of Beam are not ours.
pytestmark = pytest.mark.filterwarnings("default")


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("graph_mode", [True, False], ids=["in a graph", "in a function"])
def test_what_is_written_gives_the_same_without_the_module(graph_mode: bool, tmp_path: Path) -> None:
    module = str(export(tf, hub, sparse_text_embedding, tmp_path))
    texts = ["hello", "hello world", "neither"]
    expected = hub.Module(module)(tf.constant(texts)).numpy().tolist()
    rows = [{"text": text} for text in texts]
    metadata = tft.DatasetMetadata.from_feature_spec({"text": tf.io.FixedLenFeature([], tf.string)})

    with tft_beam.Context(temp_dir=str(tmp_path / "temporary"), force_tf_compat_v1=graph_mode):
        (transformed, _), transform = (rows, metadata) | tft_beam.AnalyzeAndTransformDataset(
            lambda inputs: {"given": hub.Module(module)(inputs["text"])}
        )
        transform | tft_beam.WriteTransformFn(str(tmp_path / "written"))
    assert [row["given"].tolist() for row in transformed] == expected

    (tmp_path / "written").rename(tmp_path / "moved")
    shutil.rmtree(module)
    shutil.rmtree(tmp_path / "temporary")
    layer = tft.TFTransformOutput(str(tmp_path / "moved")).transform_features_layer()
    assert layer({"text": tf.constant(texts)})["given"].numpy().tolist() == expected
