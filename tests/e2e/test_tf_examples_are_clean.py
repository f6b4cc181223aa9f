"""The modules that the examples publish keep the profiles that they stand for, are complete and are safe."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.tensorflow, pytest.mark.usefixtures("programs_of_tensorflow_2")]

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

_TEXT = """
import quickstart
quickstart.publish(work)
module, profile = work / "text-embedding", "text-feature-vector"
"""
_IMAGE = """
import image_module
variants = [(set(), {"training": False}), ({"train"}, {"training": True})]
with tf.Graph().as_default(), tf.compat.v1.Session() as session:
    module = hubplug.Module(hubplug.create_module_spec(image_module.digit_module, variants))
    session.run(tf.compat.v1.global_variables_initializer())
    module.export(str(work / "digits"), session)
module, profile = work / "digits", "image-classification"
"""


@pytest.mark.parametrize("publish", [_TEXT, _IMAGE], ids=["quickstart", "image_module"])
def test_what_an_example_publishes_has_no_findings(publish: str, tmp_path: Path) -> None:
    program = f"""
import sys
from pathlib import Path
import tensorflow as tf
import hubplug
sys.path.insert(0, {str(EXAMPLES)!r})
work = Path({str(tmp_path)!r})
{publish}
findings = hubplug.validate(str(module), [profile, "complete", "safe"])
assert findings == [], findings
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
