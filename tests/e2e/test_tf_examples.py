"""Each example runs and shows what it promises."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.docs.documents import ROOT, blocks

pytestmark = [pytest.mark.tensorflow, pytest.mark.usefixtures("programs_of_tensorflow_2")]

EXAMPLES = ROOT / "examples"


def output_of(example: str, tmp_path: Path, leaves: Sequence[str] = ()) -> tuple[str, str]:
    """Runs an example in a folder of its own, where it leaves what it says and nothing else: what it wrote to both streams."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / example)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == list(leaves)
    return done.stdout, done.stderr


def percentages(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"(\d+)%", text)]


def test_the_quickstart_takes_a_text_embedding_the_whole_way(tmp_path: Path) -> None:
    shown, bar = output_of("quickstart.py", tmp_path, leaves=["hubplug-quickstart"])
    assert re.findall(r"^(\d)\. ", shown, re.M) == ["1", "2", "3", "4", "5", "6", "7"]
    assert re.search(r"^3\. Serve it: http://127\.0\.0\.1:\d+/docs/text-embedding/1$", shown, re.M)
    assert "Lists are mutable sequences" in shown.partition("Is a list mutable?")[2].splitlines()[1]
    frozen, fine_tuned, reloaded = percentages(shown.partition("6. ")[2])
    assert 50 < frozen < fine_tuned
    assert reloaded > frozen
    assert float(re.findall(r"moved by ([\d.]+)", shown)[0]) > 0.1
    assert "text-embedding/1: 100%" in bar
    assert no_noise_in(bar)
    try_next([line.strip() for line in shown.partition("try next, here:\n")[2].splitlines()], tmp_path)
    (printed, *_) = (block.code for block in blocks(ROOT / "docs" / "getting-started.md") if block.kind == "text")
    assert without_numbers(printed) in without_numbers(shown)
    picture = ElementTree.parse(ROOT / "docs" / "assets" / "session.svg")
    drawn = [
        text.text or "" for text in picture.iter("{http://www.w3.org/2000/svg}text") if text.get("class") == "said"
    ]
    lines = without_numbers(shown).splitlines()
    for line in map(without_numbers, drawn[: drawn.index("format: TF1 Hub format")]):
        assert any(one.startswith(line.removesuffix("...").rstrip()) for one in lines), line


def without_numbers(text: str) -> str:
    """What is the same in every run: ports, times and figures of training are not."""
    return re.sub(r"\d[\d.,]*", "#", text)


def try_next(commands: Sequence[str], folder: Path) -> None:
    """Types what the quickstart proposes: a server, at a free port, and commands that end well."""
    scripts = {"PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])}
    environment = {**os.environ, **scripts, "TFHUB_CACHE_DIR": str(folder / "cache")}
    assert [command.split()[1] for command in commands] == ["show", "diff", "validate", "serve", "show"]
    *before, serve, ask = [shlex.split(command.partition("  ")[0]) for command in commands]
    with ExitStack() as cleanup:
        for command in before:
            subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, check=True)
        assert serve[-2:] == ["--port", "8080"]
        server = cleanup.enter_context(
            subprocess.Popen([*serve[:-1], "0"], cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)
        )
        cleanup.callback(server.terminate)
        assert server.stdout is not None
        said = re.search(r"(http://127\.0\.0\.1:\d+/) \(1 module\)", server.stdout.readline())
        assert said is not None
        handle = ask[-1].replace("http://127.0.0.1:8080/", said[1])
        done = subprocess.run(
            [*ask[:-1], handle], cwd=folder, env=environment, capture_output=True, text=True, check=True
        )
        assert "signature 'default'" in done.stdout


def test_the_image_module_learns_in_one_variant_and_infers_in_the_other(tmp_path: Path) -> None:
    shown, bar = output_of("image_module.py", tmp_path)
    assert re.findall(r"^(\d)\. ", shown, re.M) == ["1", "2", "3", "4", "5", "6"]
    assert "graph variants [[], ['train']]" in shown
    assert "expected image size [20, 20]" in shown
    trained, unseen, fine_tuned = percentages(shown)
    assert trained > 80
    assert 30 < unseen <= fine_tuned
    assert fine_tuned > 90
    assert float(re.findall(r"changed by up to ([\d.]+)", shown)[0]) > 0
    assert "digits/1: 100%" in bar
    assert no_noise_in(bar)


@pytest.mark.parametrize("example", ["fine_tune_keras.py", "fine_tune_loop.py"])
def test_a_text_module_is_fine_tuned_in_tensorflow_2(example: str, tmp_path: Path) -> None:
    shown, _ = output_of(example, tmp_path)
    assert re.findall(r"^(\d)\. ", shown, re.M) == ["1", "2", "3"]
    before, after, again = percentages(shown)
    assert before + 5 < after
    assert after > 60
    assert again == after


def no_noise_in(standard_error: str) -> bool:
    """Whether nothing but progress bars was written beside the output."""
    return not [
        line for line in re.split(r"[\r\n]+", standard_error) if line.strip() and not re.search(r"\d+%\|", line)
    ]
