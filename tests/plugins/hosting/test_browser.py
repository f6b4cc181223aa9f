"""The pages in a real browser: on a telephone and a desk, in the light and in the dark, with scripts and without."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from hubplug_format import ModuleBuilder, write_module
from hubplug_hosting import ModuleServer
from tests.plugins.hosting.asking import LIMIT, ask
from tests.plugins.hosting.trees import make_saved_model

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")

# A page in a frame of a given width, and what a person would meet there. `srcdoc` keeps the page's own policy.
FRAME = """<!DOCTYPE html><body><iframe id="page" width="WIDTH" height="900" SANDBOX srcdoc="PAGE"></iframe><pre id="found"></pre><script>
function luminance(color) {
  const parts = color.match(/[\\d.]+/g).map(Number);
  const linear = parts.slice(0, 3).map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
}
function background(element, view) {
  for (; element; element = element.parentElement) {
    const color = view.getComputedStyle(element).backgroundColor;
    if (color !== "rgba(0, 0, 0, 0)" && color !== "transparent") return color;
  }
  return "rgb(255, 255, 255)";
}
setTimeout(() => {
  const frame = document.getElementById("page"), page = frame.contentDocument, view = frame.contentWindow;
  const faint = [];
  for (const element of page.querySelectorAll("body *:not(svg *)")) {
    const text = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!text || ["SCRIPT", "STYLE"].includes(element.tagName)) continue;
    const [a, b] = [luminance(view.getComputedStyle(element).color), luminance(background(element, view))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) faint.push(`${element.tagName} ${element.className} ${contrast.toFixed(2)}`);
  }
  const first = page.querySelector("a, button, input, summary, [tabindex]");
  document.getElementById("found").textContent = JSON.stringify({
    width: page.documentElement.scrollWidth,
    faint,
    first: first.getAttribute("href"),
    buttons: page.querySelectorAll(".code button").length,
    codes: page.querySelectorAll(".code").length,
    text: page.body.innerText.length,
    paper: view.getComputedStyle(page.body).backgroundColor,
    font: view.getComputedStyle(page.body).fontFamily,
    unnamed: [...page.querySelectorAll("input, svg, .wide")].filter((e) => !e.getAttribute("aria-label")).length,
  });
}, 500);
</script></body>"""


def look(page: str, folder: Path, width: int, *, dark: bool = False, scripts: bool = True) -> dict[str, Any]:
    """What the browser finds on a page."""
    assert CHROMIUM is not None
    sandbox = "" if scripts else 'sandbox="allow-same-origin"'
    framed = FRAME.replace("WIDTH", str(width)).replace("SANDBOX", sandbox).replace("PAGE", html.escape(page))
    (folder / "frame.html").write_text(framed)
    command = [
        CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}", "--window-size=1400,1000",
        f"--blink-settings=preferredColorScheme={0 if dark else 1}", "--virtual-time-budget=3000", "--dump-dom", f"file://{folder / 'frame.html'}",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=True)
    match = re.search(r'<pre id="found">(.*?)</pre>', done.stdout)
    assert match, done.stderr[-2000:]
    return dict(json.loads(html.unescape(match[1])))


@pytest.fixture
def pages(tree: Path) -> dict[str, str]:
    """One of each kind, with long names and documentation."""
    builder = ModuleBuilder()
    images = builder.placeholder("images", "float32", [None, 224, 224, 3])
    long = "MobilenetV2/a_rather_long_name_of_an_output_that_does_not_fit_into_a_line/output"
    builder.signature(inputs={"images": images}, outputs={"default": images, long: images})
    write_module(tree / "publisher/imagenet/mobilenet_v2_100_224_with_a_long_name/feature_vector/4", builder)
    wide = "| " + " | ".join(["column"] * 20) + " |"
    (tree / "publisher/model/1.md").write_text(
        f"# About\n\n{wide}\n{wide.replace('column', '---')}\n{wide}\n\n```\n{'long ' * 60}\n```\n\n{'word' * 80}\n\n> quoted\n"
    )
    make_saved_model(tree / "publisher/eager/1")
    with ModuleServer(tree) as server:
        return {
            "list": ask(server, "/").text,
            "documented": ask(server, "/publisher/model/1").text,
            "long": ask(server, "/publisher/imagenet/mobilenet_v2_100_224_with_a_long_name/feature_vector/4").text,
            "saved": ask(server, "/publisher/eager/1").text,
            "missing": ask(server, "/publisher/modle", Accept="text/html").text,
        }


@pytest.mark.parametrize("dark", [False, True])
def test_pages_are_good_to_read_on_a_telephone_and_on_a_desk(dark, pages, tmp_path):
    for name, page in pages.items():
        for width in (400, 1280):
            found = look(page, tmp_path, width, dark=dark)
            assert found["width"] <= width, (name, found)
            assert found["faint"] == [], name
            assert found["first"] == "#main"
            assert found["unnamed"] == 0, name
            assert "system-ui" in found["font"], "the policy keeps the page's own style out"
            assert found["buttons"] == found["codes"], "the policy keeps the page's own script out"
            assert (found["paper"] == "rgb(255, 255, 255)") is not dark


def test_pages_say_the_same_without_scripts(pages, tmp_path):
    for name, page in pages.items():
        found = look(page, tmp_path, 1280, scripts=False)
        assert found["buttons"] == 0
        assert found["text"] > 200, name
        assert found["width"] <= 1280
