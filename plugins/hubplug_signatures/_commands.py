"""``hubplug validate`` and ``hubplug diff``: exit status 0 for good, 1 for findings that are errors, 2 when nothing could be said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from hubplug.cli.commands import HANDLE, PROFILE, current_hub, example, for_machines
from hubplug.errors import ConfigError, ValidationError, needs
from hubplug.shown.terminal import say
from hubplug_signatures import CommonSignatures

if TYPE_CHECKING:
    from hubplug.hub import Hub
    from hubplug.spec import ModuleSpec
    from hubplug.types import Finding

_FORM = for_machines("sarif")
_DEFAULT_PROFILES = ("complete", "safe")


@click.command(
    epilog=example(
        "hubplug validate https://models.example/publisher/model/1",
        "hubplug validate --profile text-feature-vector --run ./model",
        "hubplug validate --format sarif ./model > findings.sarif",
    )
)
@click.argument("handle", type=HANDLE)
@click.option(
    "--profile",
    "profiles",
    multiple=True,
    metavar="NAME",
    type=PROFILE,
    help="May be repeated; complete and safe if not given.",
)
@click.option(
    "--allow-op", "allow_ops", multiple=True, metavar="OP", help="An op type that safe accepts; may be repeated."
)
@click.option("--run", is_flag=True, help="Also apply the signatures of the profiles: runs the module's program.")
@click.option(
    "--run-timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=600.0,
    show_default=True,
    metavar="SECONDS",
    help="How long --run may take.",
)
@click.option(
    "--run-memory",
    type=click.IntRange(min=1),
    default=16384,
    show_default=True,
    metavar="MIB",
    help="How much memory --run may take.",
)
@_FORM
@click.pass_context
def validate(
    ctx: click.Context,
    handle: str,
    profiles: tuple[str, ...],
    allow_ops: tuple[str, ...],
    run: bool,
    run_timeout: float,
    run_memory: int,
    form: str,
) -> None:
    """Check the module of HANDLE against profiles.

    text-feature-vector, image-feature-vector and image-classification are common signatures; complete compares graph,
    checkpoint and assets; safe looks for ops that reach outside of the graph. A clean scan lowers the risk of loading a
    module; it is not a proof.
    """
    from hubplug_signatures._profiles import PROFILES

    hub = current_hub()
    asked = profiles or _DEFAULT_PROFILES
    if run and PROFILES.keys().isdisjoint(asked):
        raise ConfigError(
            f"--run has nothing to run: of the profiles {', '.join(asked)}, none says what a signature takes",
            hint=f"add --profile with one of {', '.join(PROFILES)}",
        )
    if run:
        _import_tensorflow()
    scan_here = bool(allow_ops) and "safe" in asked
    # By handle, since a spec that does not keep what the configuration demands of its prefix cannot be had.
    findings = hub.validate(handle, [profile for profile in asked if not (scan_here and profile == "safe")])
    if scan_here or run:
        try:
            spec = hub.load_spec(handle)
        except ValidationError as error:
            findings += error.findings
        else:
            if scan_here:
                findings += _scan(hub, spec, allow_ops)
            if run:
                findings += _run(spec, asked, findings, run_timeout, run_memory)
    _print(findings, _shown(handle), form)
    ctx.exit(_status(findings))


@click.command(epilog=example("hubplug diff models/publisher/model/1 models/publisher/model/2"))
@click.argument("old", type=HANDLE)
@click.argument("new", type=HANDLE)
@_FORM
@click.pass_context
def diff(ctx: click.Context, old: str, new: str, form: str) -> None:
    """Say whether the module NEW can take the place of the module OLD.

    Changes that break programs are errors: a signature, input or output that is gone, or has another dtype or shape.
    """
    # Not at the top: `hubplug --help` loads this file.
    from hubplug_signatures._diff import diff as diff_specs

    hub = current_hub()
    findings = hub.use_spec(old, lambda one: hub.use_spec(new, lambda other: diff_specs(one, other)))
    before, after = _shown(old), _shown(new)
    _print(findings, f"{before} -> {after}", form, module=after)
    ctx.exit(_status(findings))


def _shown(handle: str) -> str:
    from hubplug.types import Handle

    return str(Handle.parse(handle))


def _scan(hub: Hub, spec: ModuleSpec, allow_ops: Sequence[str]) -> list[Finding]:
    """What the chain's own scan finds, with some more op types allowed."""
    members = [plugin for _, plugin in hub.instances(CommonSignatures)]
    if not members:
        raise ConfigError(
            "No plugin knows the profile 'safe': signatures is not in the chain",
            hint="add it to the chain in hubplug.yaml",
        )
    findings: list[Finding] = []
    for plugin in members:
        allowing = CommonSignatures([*plugin.allow_ops, *allow_ops], plugin.timeout, plugin.memory_mib)
        findings += allowing.hubplug_validate(spec, "safe") or []
    return findings


def _run(
    spec: ModuleSpec, profiles: Sequence[str], findings: Sequence[Finding], timeout: float, memory_mib: int
) -> list[Finding]:
    from hubplug_signatures._profiles import PROFILES

    broken = {finding.rule.partition("/")[0] for finding in findings if finding.level == "error"}
    wanted = [name for name in dict.fromkeys(profiles) if name in PROFILES and name not in broken]
    if not wanted or "safe" in broken:
        return []
    from hubplug_signatures._run_checks import run_profiles

    return run_profiles(spec, wanted, timeout=timeout, memory_mib=memory_mib)


def _print(findings: Sequence[Finding], subject: str, form: str, module: str | None = None) -> None:
    from hubplug_signatures._reports import in_words, report

    if form == "text":
        say(*in_words(findings, subject))
    else:
        click.echo(report(findings, subject, form, module))


def _import_tensorflow() -> None:
    """Before anything is checked, so that ``complete`` compares with the ops of the TensorFlow that is to run them."""
    from hubplug.processes.notes import without_notes
    from hubplug.settings.config import environment_value

    with needs("tensorflow", "tensorflow"), without_notes(environment_value("TF_CPP_MIN_LOG_LEVEL")):
        import tensorflow  # noqa: F401


def _status(findings: Sequence[Finding]) -> int:
    if any(finding.rule.endswith("/not-checked") for finding in findings):
        return 2
    return int(any(finding.level == "error" for finding in findings))
