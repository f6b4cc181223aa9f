"""Tests of pipelines are collected where Beam is installed: by the tox environment `beam`."""

from __future__ import annotations

from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("apache_beam") and find_spec("tensorflow") else ["test_tf_*.py"]
