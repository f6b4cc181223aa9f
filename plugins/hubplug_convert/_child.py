"""The program of the child processes: one converts, others apply the source and the result to the same inputs.

A job comes on standard input. Answers to inputs go into a file, one after the other, so that those before a crash are kept.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import IO, Any

from hubplug.errors import HubplugError, PluginError, needs
from hubplug.processes.limits import limit
from hubplug_convert._comparing import compare
from hubplug_convert._contract import Conversion, NotExpressibleError, Request, Runner
from hubplug_convert._conversions import GROUP, load_conversion
from hubplug_convert._values import pack_all, read_records, unpack_all, write_record
from hubplug_format import OpRegistry, SavedModelFile

# Beyond what the parent waits, for a parent that has ended without killing it.
_GRACE = 10
_LONGEST = 400
# What TensorFlow puts around the line that matters.
_FRAME = re.compile(
    r"Graph execution error|Detected at node|<stack trace|File \"|Node: |\d+ root error|\(\d\) \w+: *$|\[\[|Original stack"
)


def main() -> None:
    """Does one job, within its limits."""
    # The module may print, which must not be taken for an answer.
    stream = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.path[:] = [path for path in sys.path if path]
    job = json.loads(sys.stdin.buffer.read())
    seconds = int(job["seconds"]) + _GRACE
    # Address space says nothing here: TensorFlow reserves many times what it uses.
    limit({"RLIMIT_DATA": job["memory_bytes"], "RLIMIT_CPU": seconds * (os.cpu_count() or 1)})
    if hasattr(signal, "alarm"):
        signal.alarm(seconds)
    try:
        with needs("tensorflow", "tensorflow"):
            answer = do(job)
    except HubplugError as error:
        answer = {"problem": error.message, "hint": error.hint}
    except Exception as error:  # Whatever a conversion or TensorFlow raises.
        answer = {"problem": in_words(error)}
    json.dump(answer, stream)
    stream.flush()
    # Without waiting for threads of the module's program.
    os._exit(0)


def do(job: Mapping[str, Any]) -> dict[str, Any]:
    """Does one job; what it answers."""
    request = Request(Path(job["source"]), job["format"], frozenset(job["tags"]), tuple(job["signatures"]))
    if job["do"] == "freeze":
        from hubplug_convert._frozen import write_saved_model

        write_saved_model(Path(job["graph"]), request.source, job["inputs"], job["outputs"])
        return {}
    conversion = load_conversion(EntryPoint(job["name"], job["value"], GROUP))
    alone = job["do"] == "result" and getattr(conversion, "runs_without_tensorflow", False)
    was_there = "tensorflow" in sys.modules
    if not alone:
        _import_packages_of_ops(request)
    if job["do"] == "convert":
        return {"notes": list(conversion.convert(request, Path(job["result"])) or ())}
    runner = _open(job, conversion, request)
    root = Path(job["result"]) if job["do"] == "result" else request.source
    with open(job["cases"], "rb") as cases, open(job["answers"], "ab") as answers:
        _apply(runner, root, cases, answers, job["first"], again=job["do"] == "source")
    if alone and "tensorflow" in sys.modules and not was_there:
        raise PluginError(
            f"The conversion {job['name']!r} says that its results run without TensorFlow, and imported it to run one",
            hint="this is a mistake in the plugin; see Conversion in docs/convert.md",
        )
    return {"gradients": _gradients(runner, job)}


def _import_packages_of_ops(request: Request) -> None:
    """Ops of other packages than TensorFlow are there once the package was imported, as programs that use the model do."""
    variant = SavedModelFile.read(request.source).variant(request.tags)
    ops = variant.stripped_ops or [node.op for node in variant.graph.nodes]
    registry = OpRegistry.bundled()
    for package in sorted({package for op in ops if (package := registry.package_of(op))}):
        with suppress(ImportError):  # whoever lacks it is told by name, when the ops are needed
            import_module(package.replace("-", "_"))


def _open(job: Mapping[str, Any], conversion: Conversion, request: Request) -> Runner:
    if job["do"] == "result":
        return conversion.open(request, Path(job["result"]))
    if hasattr(conversion, "open_source"):
        runner: Runner = conversion.open_source(request)
        return runner
    from hubplug_convert._graph_runner import open_source

    return open_source(request)


def _apply(runner: Runner, root: Path, cases: IO[bytes], answers: IO[bytes], first: int, *, again: bool) -> None:
    for number, case in enumerate(read_records(cases)):
        if number < first:
            continue
        write_record(answers, {"begins": number})
        inputs = unpack_all(case["inputs"])
        try:
            outputs = pack_all(runner.run(case["signature"], inputs))
            _name_files_by_content(outputs, root)
        except NotExpressibleError as error:
            write_record(answers, {"case": number, "inexpressible": in_words(error)})
            continue
        except Exception as error:  # Whatever it does with inputs that it does not take.
            write_record(answers, {"case": number, "refused": in_words(error)})
            continue
        answer: dict[str, Any] = {"case": number, "outputs": outputs}
        if again:
            answer["moving"] = _moving(runner, root, case["signature"], inputs, outputs)
        write_record(answers, answer)


def _moving(
    runner: Runner, root: Path, signature: str, inputs: Mapping[str, Any], outputs: Mapping[str, Any]
) -> list[str]:
    """The outputs that are not the same when the same inputs come once more."""
    packed = pack_all(runner.run(signature, inputs))
    _name_files_by_content(packed, root)
    once, more = unpack_all(outputs), unpack_all(packed)
    return [key for key in once if compare(once[key], more[key]).said is not None]


def _name_files_by_content(outputs: Mapping[str, Any], root: Path) -> None:
    """Puts digests in the place of paths of files of the model, which lie elsewhere in source and result."""
    beginning = os.fsencode(root) + b"/"
    for packed in outputs.values():
        items = packed.get("items", ())
        for i, item in enumerate(items):
            if item.startswith(beginning) and os.path.isfile(item):
                items[i] = b"a file with the sha256 " + hashlib.sha256(Path(os.fsdecode(item)).read_bytes()).digest()


def _gradients(runner: Runner, job: Mapping[str, Any]) -> Any:
    """Gradients of one case of each signature, written beside the answers: signature -> where, or why there are none."""
    if not hasattr(runner, "gradients"):
        return None
    found: dict[str, Any] = {}
    with open(job["cases"], "rb") as cases:
        wanted = [case for number, case in enumerate(read_records(cases)) if number in job["gradients"]]
    with open(job["answers"], "ab") as answers:
        for case in wanted:
            try:
                packed = pack_all(runner.gradients(case["signature"], unpack_all(case["inputs"])))
            except Exception as error:  # As above: an op without a gradient, ...
                found[case["signature"]] = in_words(error)
            else:
                write_record(answers, {"gradients": case["signature"], "by_variable": packed})
    return found


def in_words(error: Exception) -> str:
    """What an exception says, in one line of a length to be shown: of TensorFlow's, the line that says what went wrong."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = next((line for line in lines if not _FRAME.match(line)), "no message")
    return f"{type(error).__name__}: {said[:_LONGEST]}"


if __name__ == "__main__":
    main()
