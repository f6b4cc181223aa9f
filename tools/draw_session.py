"""Draws docs/assets/session.svg: a terminal in which the commands below were really run, in an empty directory.

It needs TensorFlow. Run it when what these commands print has changed::

    python tools/draw_session.py
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "assets" / "session.svg"

COMMANDS = (
    "python examples/quickstart.py",
    "hubplug show hubplug-quickstart/fine-tuned",
    "hubplug diff hubplug-quickstart/text-embedding hubplug-quickstart/fine-tuned",
    "hubplug validate hubplug-quickstart/fine-tuned --profile safe",
)
# Of the quickstart, the numbered steps and what they say: its closing lines are the next commands.
_ENDS_AT = "The modules are in"
_COLUMNS, _CHARACTER, _LINE, _MARGIN, _BAR = 100, 7.8, 19, 18, 34


def main() -> None:
    """Runs the commands and writes the picture."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "examples").symlink_to(ROOT / "examples")
        lines = [line for command in COMMANDS for line in typed(command, folder)]
    PICTURE.write_text(picture(lines), encoding="utf-8")


def typed(command: str, folder: str) -> Iterator[tuple[str, str]]:
    """The lines of one command as a terminal shows them: each with its class."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, env={**os.environ, **quiet, "PATH": path}, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True, check=True,
    )  # fmt: skip
    yield "typed", command
    for line in done.stdout.partition(_ENDS_AT)[0].splitlines():
        yield "said", line if len(line) <= _COLUMNS else f"{line[: _COLUMNS - 3]}..."


def picture(lines: list[tuple[str, str]]) -> str:
    """The terminal as SVG, with no font and no file from elsewhere."""
    width, height = _COLUMNS * _CHARACTER + 2 * _MARGIN, _BAR + len(lines) * _LINE + 2 * _MARGIN
    rows = []
    for number, (kind, text) in enumerate(lines):
        prompt = '<tspan class="prompt">$ </tspan>' if kind == "typed" else ""
        place = f'x="{_MARGIN}" y="{_BAR + _MARGIN + number * _LINE + 4}"'
        rows.append(f'<text class="{kind}" xml:space="preserve" {place}>{prompt}{escape(text, quote=False)}</text>')
    style = (
        "text{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;white-space:pre}"
        ".said{fill:#c8d0da}.typed{fill:#ffffff;font-weight:bold}.prompt{fill:#7ee787}"
    )
    dots = "".join(f'<circle cx="{20 + 20 * index}" cy="18" r="6" fill="#5c6773"/>' for index in range(3))
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" width="{width:.0f}" role="img">',
            "<title>A terminal: the quickstart, then hubplug show, diff and validate</title>",
            f"<style>{style}</style>",
            f'<rect width="{width:.0f}" height="{height}" rx="10" fill="#1b2028"/>{dots}',
            *rows,
            "</svg>\n",
        ]
    )


if __name__ == "__main__":
    main()
