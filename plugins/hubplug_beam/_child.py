"""The process of a pipeline: ``python -m hubplug_beam._child``, with an assignment on its standard input."""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
from dataclasses import replace
from typing import Any

import apache_beam as beam
from apache_beam.metrics import MetricsFilter
from apache_beam.options.pipeline_options import PipelineOptions

from hubplug.errors import HubplugError
from hubplug.shown.redaction import causes_of, scrub_foreign
from hubplug_beam._metrics import NAMESPACE
from hubplug_beam._running import Answer, Assignment, names_runner
from hubplug_beam._transform import ApplyToFiles

# It has to be named: the short name means another one, which is a program of its own that has to be downloaded.
_LOCAL_RUNNER = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"
_GO_ON = "finished shards stay: the same command with --resume goes on; `hubplug --traceback apply` shows the log"


def main() -> None:
    """Runs the pipeline, and writes the answer."""
    assignment: Assignment = pickle.load(sys.stdin.buffer)
    threading.Thread(target=_end_with_parent, daemon=True).start()

    def ended(error: Any) -> None:
        # Beam waits for a worker process that is gone, for ever.
        if "Worker subprocess exited" in str(error.exc_value):
            status = str(error.exc_value).rpartition(" ")[2]
            Answer(error=f"A worker process ended with status {status}", hint=_GO_ON).write(assignment.answer)
            _end_group()

    threading.excepthook = ended
    try:
        answer = _run(assignment)
    except Exception as error:
        sys.excepthook(type(error), error, error.__traceback__)
        answer = _answer_to(error)
    answer.write(assignment.answer)
    sys.stderr.flush()
    os._exit(0)  # threads of Beam may not end


def _run(assignment: Assignment) -> Answer:
    job = assignment.job
    transform = ApplyToFiles.planned(
        replace(job.shipment, threads=assignment.threads), job.form, job.output, assignment.watched
    )
    pipeline = beam.Pipeline(options=_options(assignment))
    _ = pipeline | beam.Create(list(job.missing)) | beam.Reshuffle() | transform
    result = pipeline.run()
    result.wait_until_finish()
    return Answer(_count(result, "rows"), _count(result, "failed_rows"))


def _options(assignment: Assignment) -> PipelineOptions:
    arguments = list(assignment.arguments)
    if not names_runner(arguments):
        arguments.insert(0, f"--runner={_LOCAL_RUNNER}")
        if assignment.workers > 1:
            arguments += ["--direct_running_mode=multi_processing", f"--direct_num_workers={assignment.workers}"]
    return PipelineOptions(arguments, save_main_session=False)


def _count(result: Any, name: str) -> int:
    found = result.metrics().query(MetricsFilter().with_namespace(NAMESPACE).with_name(name))["counters"]
    return int(sum(counter.result for counter in found))


def _answer_to(error: Exception) -> Answer:
    """The error of a worker in its own words: Beam wraps it, and puts tracebacks of other processes into texts."""
    for cause in causes_of(error):
        if isinstance(cause, HubplugError):
            return Answer(error=cause.message, hint=cause.hint or _GO_ON)
    lines = [line for line in str(error).splitlines() if line.strip() and not line.startswith((" ", "\t"))]
    said = [line for line in lines if line.startswith("hubplug.errors.")] or lines or [type(error).__name__]
    return Answer(error=f"A worker failed: {scrub_foreign(said[-1])}", hint=_GO_ON)


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    _end_group()


def _end_group() -> None:
    if os.name == "posix":
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


if __name__ == "__main__":
    main()
