"""The pipeline of the examples, as it stands: from a stand-in of Kaggle to a server that is trusted by its signatures only."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hubplug.testing import ScriptedServer, archive_of, write_tiny_module
from hubplug_hosting import ModuleServer
from tests.plugins.kaggle.stand_in import StandIn

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
NAME = "nnlm/tensorFlow1/en-dim50/1"


@pytest.fixture
def storage() -> Iterator[ScriptedServer]:
    with ScriptedServer("127.0.0.2") as running:
        yield running


def test_the_pipeline_brings_a_module_from_kaggle_to_where_only_signed_ones_are_accepted(
    server, storage, keys, tmp_path, isolated_environment
):
    archive = archive_of(write_tiny_module(tmp_path / "module"))
    kaggle = StandIn(server, storage, {"google/nnlm/tensorFlow1/en-dim50": [archive]})
    publishing, loading, tree = tmp_path / "publishing.yaml", tmp_path / "loading.yaml", tmp_path / "models"
    options = json.dumps({"kaggle": {"options": {"endpoint": kaggle.endpoint}}})
    publishing.write_text(f"version: 1\nplugins: {options}\n")
    tree.mkdir()
    environment = {
        **os.environ,
        "HUBPLUG_CONFIG": str(publishing),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    with ModuleServer(tree) as internal:

        def pipeline(key: str) -> subprocess.CompletedProcess[str]:
            demanded = (EXAMPLES / "signed_pipeline.yaml").read_text()
            demanded = demanded.replace("https://models.internal.example/", internal.url)
            loading.write_text(demanded.replace("/etc/hubplug/signing.pub", str(keys / "models.pub")))
            script = [
                "sh",
                str(EXAMPLES / "signed_pipeline.sh"),
                str(keys / key),
                str(tree),
                internal.url.rstrip("/"),
                str(loading),
            ]
            return subprocess.run(script, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

        done = pipeline("models.key")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "default" in done.stdout
        assert json.loads((tmp_path / "module.cdx.json").read_text())["specVersion"] == "1.6"
        # The same with a key that nobody was told to trust: everything works but loading.
        (tree / f"{NAME}.tar.gz").rename(tmp_path / "as it was.tar.gz")
        (tmp_path / "module.cdx.json").unlink()
        environment["TFHUB_CACHE_DIR"] = str(tmp_path / "another cache")
        done = pipeline("other.key")
        assert (tmp_path / "module.cdx.json").exists()
        assert done.returncode == 2, done.stdout + done.stderr
        assert "signed/foreign" in done.stderr
