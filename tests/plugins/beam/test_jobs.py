"""What is done before a job starts."""

from __future__ import annotations

import gzip
import re
from dataclasses import replace
from pathlib import Path

import pytest

import hubplug
from hubplug.errors import FormatError
from hubplug.testing import archive_of, write_tiny_module
from hubplug_beam._jobs import Wish, plan_job
from tests.left_over import left_over
from tests.servers import Reply, ScriptedServer


def test_a_module_is_resolved_once_for_a_job(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"x": 1}\n')
    wish = Wish("", str(tmp_path / "in.jsonl"), str(tmp_path / "*.csv"))
    with ScriptedServer() as server:
        server.on("/m/1", Reply(body=archive_of(write_tiny_module(tmp_path / "module"))))
        hub = hubplug.Hub({"chain": ["http", "archive", "tf1"]})  # which keeps nothing
        job = plan_job(hub, replace(wish, handle=server.url("/m/1")))
        assert len(server.requests) == 1
    assert job.facts["module"] == job.shipment.content


def test_a_job_deletes_what_one_that_was_killed_left_in_the_folder(tmp_path: Path, hub: hubplug.Hub) -> None:
    (tmp_path / "in.jsonl").write_text('{"x": 1}\n')
    (tmp_path / "out").mkdir()
    left = left_over(tmp_path / "out" / "00000-of-00001.csv")
    module = str(write_tiny_module(tmp_path / "module"))
    plan_job(hub, Wish(module, str(tmp_path / "in.jsonl"), str(tmp_path / "out" / "*.csv"))).start()
    assert not left.exists()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["job.json"]


@pytest.mark.parametrize("name", ["in-1.jsonl.gz", "in-1.csv.gz"])
def test_a_damaged_file_is_for_the_job_to_report_where_another_can_be_read(
    name: str, tmp_path: Path, hub: hubplug.Hub
) -> None:
    text = "x\n1\n2\n" if "csv" in name else '{"x": 1}\n{"x": 2}\n'
    (tmp_path / name).write_bytes(gzip.compress(text.encode())[:-12])
    wish = Wish(str(write_tiny_module(tmp_path / "module")), str(tmp_path / "in-*"), str(tmp_path / "*.parquet"))
    with pytest.raises(FormatError, match=re.escape(name)):
        plan_job(hub, wish)
    (tmp_path / name.replace("1", "2")).write_bytes(gzip.compress(text.encode()))
    assert len(plan_job(hub, wish).missing) == 2
