"""What a person sees who asks Python: help(), print() and repr()."""

from __future__ import annotations

import subprocess
import sys

from hubplug.spec import ModuleSpec

from .small_plugins import TextSpec


def test_help_works_without_tensorflow_and_lists_what_can_be_had() -> None:
    program = "import sys; sys.modules['tensorflow'] = None; import pydoc, hubplug; print(pydoc.plain(pydoc.render_doc(hubplug)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "class Module(" in done.stdout
    assert "load_module_spec(" in done.stdout


def test_a_spec_says_its_variants_and_signatures() -> None:
    assert repr(TextSpec("x")) == str(TextSpec("x")) == "<TextSpec: [] (inference) with default>"


def test_a_spec_says_where_it_lies_without_secrets() -> None:
    class Stored(TextSpec):
        def place(self) -> str:
            return "gs://user:CANARY@bucket/m?token=CANARY"

    assert repr(Stored("x")) == "<Stored at gs://bucket/m?token=***: [] (inference) with default>"


def test_a_spec_that_is_half_made_can_be_shown_in_a_debugger() -> None:
    assert repr(ModuleSpec()) == "<ModuleSpec, which cannot be described: NotImplementedError>"
