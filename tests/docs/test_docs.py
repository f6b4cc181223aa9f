"""The documentation is true: its examples run, its generated pages are up to date, its links lead somewhere."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from hubplug.settings.entry_points import installed_plugins
from hubplug.settings.members import HOOKS
from tests.core.test_command_help import takes
from tests.docs.documents import (
    NOT_RUN,
    PAGES,
    ROOT,
    RUN,
    blocks,
    examples,
    needs_running,
    needs_tensorflow,
    prose,
    run,
)
from tools.documentation.hooks import SECTIONS, arguments_of, parts

needs_installation = pytest.mark.skipif("http" not in installed_plugins(), reason="hubplug is not installed here")


@needs_installation
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_says_what_it_is(page: Path) -> None:
    assert [block for block in blocks(page) if block.kind not in (*RUN, *NOT_RUN)] == []
    indented = re.compile(r"\A    \S|(?<=\n\n)    \S")
    assert indented.search(prose(page)) is None, (
        "an indented block: fence it, so that it is run or says that it is none"
    )


@needs_installation
@pytest.mark.parametrize(
    "page", [page for page in PAGES if needs_running(page) and not needs_tensorflow(page)], ids=lambda page: page.name
)
def test_every_block_of_a_page_runs_as_it_is_printed(page: Path, tmp_path: Path) -> None:
    run(page, tmp_path)


@needs_installation
def test_the_tests_in_the_examples_pass_too(tmp_path: Path) -> None:
    """The page for authors shows tests: they are run as such."""
    page = next(page for page in PAGES if page.name == "writing-plugins.md")
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["hubplug.testing"]\n')
    (tmp_path / "test_page.py").write_text("\n".join(examples(page)))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_page.py"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert re.search(r"^20 passed", done.stdout, flags=re.MULTILINE), done.stdout


def commands_in_steps(code: str) -> list[str]:
    """What the steps of a CI run."""
    steps = yaml.safe_load(code)
    assert isinstance(steps, list)
    assert all(("run" in step) != ("uses" in step) for step in steps)
    return [line for step in steps for line in step.get("run", "").splitlines()]


def commands_in_image(code: str) -> list[str]:
    """What a Dockerfile runs; every line of it is an instruction."""
    lines = [line.partition(" ") for line in code.splitlines() if line]
    assert {name for name, _, _ in lines} <= {"FROM", "WORKDIR", "RUN", "ENV", "COPY", "USER", "CMD"}
    assert lines[0][0] == "FROM"
    words = {name: " ".join(json.loads(rest)) for name, _, rest in lines if name == "CMD"}
    return [words.get(name, rest) for name, _, rest in lines if name in ("RUN", "CMD")]


@pytest.mark.parametrize(("kind", "commands_in"), [("yml", commands_in_steps), ("dockerfile", commands_in_image)])
def test_what_is_for_other_programs_has_commands_that_there_are(
    kind: str, commands_in: Callable[[str], list[str]]
) -> None:
    commands = [
        line for page in PAGES for block in blocks(page) if block.kind == kind for line in commands_in(block.code)
    ]
    ours = [
        line.partition("hubplug ")[2].partition(">")[0] for line in commands if re.match(r"(python -m )?hubplug ", line)
    ]
    assert ours, "none of them is about hubplug"
    assert all(takes(shlex.split(line)) for line in ours)
    assert {line.split()[0] for line in commands} <= {"hubplug", "python", "pip", "pytest"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"`[^`\n]*`", "", prose(page))
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (page.parent / target).exists(), target


def test_the_pages_for_authors_have_examples() -> None:
    counts = {page.name: len(examples(page)) for page in PAGES}
    assert counts["hooks.md"] == len(HOOKS)
    assert counts["writing-plugins.md"] >= 5
    assert counts["configuration.md"] >= 2
    assert counts["README.md"] >= 1


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_documented_and_tested(hook: str) -> None:
    import hubplug.hookspecs

    found = parts(hook)
    code = getattr(hubplug.hookspecs, hook).__code__
    arguments = list(code.co_varnames[: code.co_argcount])
    assert all(found.get(name) for name in ("summary", "example", *SECTIONS) if arguments or name != "Args")
    assert [name for name, _ in arguments_of(found.get("Args", ""))] == arguments
    assert f"def {hook}({', '.join(['self', *arguments])})" in found["example"]
    tests = (ROOT / "tests" / "docs" / "test_hook_examples.py").read_text(encoding="utf-8")
    assert f'example("{hook}")' in tests
    contracts = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "hubplug" / "testing").glob("_*.py"))
    assert f'"{hook}"' in contracts
