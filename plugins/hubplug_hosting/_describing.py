"""The program of the child processes that look at an archive: a job on standard input, JSON on standard output.

The first says what the module says about itself, the second what the profiles find in what the first has unpacked. An archive
may be made to hurt: a child has caps on memory, processor time and files before it reads the first byte.
"""

from __future__ import annotations

import json
import os
import pickle
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from hubplug.errors import FormatError, HubplugError
from hubplug.files.signatures import SignsModules
from hubplug.hub import Hub
from hubplug.processes.limits import limit
from hubplug.settings.config import Config
from hubplug.spec import ModuleSpec
from hubplug.types import Finding, Provenance
from hubplug_format import VARIABLES_PREFIX, CheckpointIndex, SavedModelFile, read_object_variables

MOST_BYTES = 16 << 30
UNPACKED = "module"
_README = "README.md"
_LARGEST_README = 256 << 10
_MOST_ROWS = 500
_LONGEST_TEXT = 500


@dataclass(frozen=True)
class Job:
    """What a child is to do.

    Attributes:
        config: Of the Hub that reads and validates; its chain has nothing that a network or a cache is needed for.
        archive: The archive, pinned by its digest: a handle. Empty: ``folder`` holds what was unpacked.
        folder: An empty directory to unpack in.
        readme: The publisher's documentation beside the archive; None: that inside of it counts.
        profiles: What is to be checked.
        memory: Bytes of address space.
        seconds: Of processor time.
    """

    config: Config
    archive: str
    folder: str
    readme: str | None
    profiles: tuple[str, ...]
    memory: int
    seconds: int


def main() -> None:
    """Does one job, within its limits."""
    job: Job = pickle.load(sys.stdin.buffer)  # of our own parent
    limit({"RLIMIT_AS": job.memory, "RLIMIT_CPU": job.seconds, "RLIMIT_FSIZE": MOST_BYTES})
    tempfile.tempdir = job.folder
    try:
        json.dump(_describe(job) if job.archive else _check(job), sys.stdout)
    except MemoryError:
        json.dump({"problem": f"it takes more than the {job.memory >> 20:,} MiB of memory that it may"}, sys.stdout)
    except HubplugError as error:
        said = error.message.replace(job.archive, "the archive").replace(f"{job.folder}/", "")
        json.dump({"problem": _cut(said)}, sys.stdout)


def _describe(job: Job) -> dict[str, Any]:
    room = os.statvfs(job.folder)
    most = min(MOST_BYTES, room.f_bavail * room.f_frsize // 2)
    limits = {**job.config.limits, "max_bytes": min(most, job.config.limits.get("max_bytes", most))}
    hub = Hub(replace(job.config, limits=limits))
    module = hub.resolve(job.archive)
    # Beyond this process, which would take it along.
    directory = Path(job.folder, UNPACKED)
    module.path.rename(directory)
    facts = _facts(hub.load_spec(str(directory)), directory, module.provenance, job.readme)
    return {**facts, "signature": _signature(hub, directory)}


def _check(job: Job) -> dict[str, Any]:
    hub = Hub(job.config)
    directory = os.path.join(job.folder, UNPACKED)
    spec = hub.load_spec(directory)
    return {profile: _checked(hub.validate(spec, [profile]), directory) for profile in job.profiles}


def _facts(spec: ModuleSpec, directory: Path, provenance: Provenance | None, readme: str | None) -> dict[str, Any]:
    said = spec.describe()
    said.pop("directory", None)
    is_eager = str(said.get("format", "")).startswith("TF2")
    if readme is None:
        readme = _read_text(directory / _README)
    files = provenance.files if provenance else ()
    return {
        **dict.fromkeys(("image_size", "ops_of_other_packages", "tensorflow_version")),  # which not every format says
        **said,
        "variants": [_shortened(variant) for variant in (said.get("variants") or [])[:_MOST_ROWS]],
        "instantiable": _is_instantiable(spec),
        "eager": is_eager,
        "variables": _variables(directory, said.get("variables") or {}, is_eager),
        "assets": (said.get("assets") or [])[:_MOST_ROWS],
        "files": [{"path": file.path, "size": file.size, "sha256": file.sha256} for file in files[:_MOST_ROWS]],
        "files_count": len(files),
        "content_size": sum(file.size for file in files),
        "documentation": render_markdown(readme) if readme else "",
    }


def _signature(hub: Hub, directory: Path) -> dict[str, Any] | None:
    """Who signed it, by the signers of the server's configuration; None where no plugin of the chain can say."""
    for _, plugin in hub.instances(SignsModules):  # type: ignore[type-abstract]
        found = plugin.signature_of(directory)
        return {name: None if said is None else _cut(said) for name, said in asdict(found).items()}
    return None


def _is_instantiable(spec: ModuleSpec) -> bool:
    try:
        spec.check_instantiable()
    except HubplugError:
        return False
    return True


def _shortened(variant: dict[str, Any]) -> dict[str, Any]:
    def rows(tensors: dict[str, Any]) -> dict[str, Any]:
        return {_cut(key): info for key, info in list(tensors.items())[:_MOST_ROWS]}

    return {
        "tags": [_cut(tag) for tag in variant["tags"]],
        "signatures": {
            _cut(name): {side: rows(signature[side]) for side in ("inputs", "outputs")}
            for name, signature in list(variant["signatures"].items())[:_MOST_ROWS]
        },
    }


def _variables(directory: Path, counts: dict[str, Any], is_eager: bool) -> dict[str, Any]:
    """The counts with the names; of a TF2 SavedModel only what its object graph calls a variable."""
    try:
        index = CheckpointIndex.read(directory / VARIABLES_PREFIX, check_shards=False)
        if is_eager:
            variants = SavedModelFile.read(directory).variants.values()
            found: list[tuple[str, str, Any]] = [
                (variable.name, variable.dtype, variable.shape)
                for variant in variants
                for variable in read_object_variables(variant, index)
            ]
        else:
            found = [(entry.name, entry.dtype, entry.shape) for entry in index.entries.values()]
    except FormatError:
        return {**counts, "listed": []}
    listed = [
        {"name": _cut(name), "dtype": dtype, "shape": None if shape is None else list(shape)}
        for name, dtype, shape in found[:_MOST_ROWS]
    ]
    return {**counts, "count": len(found), "listed": listed}


def _checked(findings: Iterable[Finding], directory: str) -> dict[str, Any]:
    findings = list(findings)
    rows = [
        {
            "rule": finding.rule,
            "level": finding.level,
            "message": _cut(finding.message.replace(f"{directory}/", "").replace(directory, "the module")),
            "where": None if finding.where is None else _cut(finding.where),
        }
        for finding in findings[:_MOST_ROWS]
    ]
    if any(finding.rule.endswith("/not-checked") for finding in findings):
        state = "not checked"
    else:
        state = "not kept" if any(finding.level == "error" for finding in findings) else "kept"
    return {"state": state, "findings": rows}


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_TEXT else f"{text[: _LONGEST_TEXT - 3]}..."


def _read_text(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST_README).decode("utf-8", "replace")
    except OSError:
        return None


_ALLOWED = {
    "a", "blockquote", "br", "code", "em", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p", "pre", "s", "strong",
    "table", "tbody", "td", "th", "thead", "tr", "ul",
}  # fmt: skip


def render_markdown(text: str) -> str:
    """Markdown as HTML that can do nothing: no HTML of the author's, no images, links to http, https and mail only."""
    import nh3
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    tokens = parser.parse(text[:_LARGEST_README])
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):  # below the page's own headings
            token.tag = f"h{min(int(token.tag[1]) + 2, 6)}"
    rendered = parser.renderer.render(tokens, parser.options, {})
    return nh3.clean(
        rendered,
        tags=_ALLOWED,
        attributes={"a": {"href", "title"}, "ol": {"start"}},
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener noreferrer nofollow",
    )


if __name__ == "__main__":
    main()
