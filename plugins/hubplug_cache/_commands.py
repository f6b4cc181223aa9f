"""``hubplug cache``: look after the caches of the chain."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hubplug.cli.commands import HANDLE, Completed, Group, current_hub, example, for_machines, print_json
from hubplug.errors import CacheError
from hubplug.shown.terminal import Colour, aligned, painted, say
from hubplug_cache._quantities import parse_size, parse_span, size_in_words

if TYPE_CHECKING:
    from hubplug.hub import Hub
    from hubplug_cache._catalogue import Cache, Listed


def _cache_names(hub: Hub) -> list[str]:
    return [member.name for member in hub.chain.members if "hubplug_entries" in hub.chain.hooks_of(member)]


_CACHE = click.option(
    "--cache",
    "name",
    metavar="NAME",
    type=Completed(_cache_names),
    help="Only the cache of this name in the chain.",
)
_GRACE = click.option(
    "--grace",
    type=click.FloatRange(0),
    default=2.0,
    show_default=True,
    help="Seconds between taking entries out of sight and deleting them.",
)


def _parsed(parse: Callable[[str], float]) -> Callable[[click.Context, click.Parameter, str | None], float | None]:
    """A callback that turns an option's text into a number."""

    def callback(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
        try:
            return None if value is None else parse(value)
        except ValueError as error:
            raise click.BadParameter(str(error)) from error

    return callback


@click.group(
    cls=Group, epilog=example("hubplug cache list", "hubplug cache verify", "hubplug cache prune --max-size 20GB")
)
def cache() -> None:
    """Look after the local copies of modules."""


@cache.command("list", epilog=example("hubplug cache list", "hubplug cache list --json"))
@_CACHE
@for_machines()
def list_(name: str | None, form: str) -> None:
    """List the entries of all caches of the chain."""
    caches = _caches(name)
    rows = [listed for cache in caches for listed in cache.entries()]
    if form == "json":
        print_json([listed.as_json() for listed in rows])
        return
    if not rows:
        _say_nothing_is_there(caches)
    else:
        say(*aligned([_cells(listed) for listed in rows]))
    for listed in rows:
        if listed.entry.fault:
            say([painted(f"{listed.entry.key}:", "red"), f" {listed.entry.fault}"])
    _say_who_is_silent(name)


@cache.command(epilog=example("hubplug cache verify", "hubplug cache verify https://models.example/publisher/model/1"))
@click.argument("handles", nargs=-1, type=HANDLE)
@_CACHE
@for_machines()
@click.pass_context
def verify(ctx: click.Context, handles: tuple[str, ...], name: str | None, form: str) -> None:
    """Hash every file of the entries of HANDLES, or of all, and compare with what was published.

    An entry of a writable cache that is found damaged is marked, and the next resolve fetches it again. Exit status 1 if
    there is a damaged one.
    """
    rows: list[dict[str, Any]] = []
    selected = _selected(handles, name)
    if not selected and form == "text":
        _say_nothing_is_there(_caches(name))
    for listed in selected:
        faults = listed.cache.verify(listed.entry)
        is_recorded = listed.entry.is_recorded
        state = "damaged" if faults else "complete" if is_recorded else "adopted"
        rows.append({**listed.as_json(), "state": state, "faults": faults})
        rows[-1].pop("fault")
        if form == "text":
            verdict = "; ".join(faults) or ("good" if is_recorded else "whole, but no digests were recorded")
            colour: Colour = "red" if faults else "green"
            say([f"{listed.entry.key}  {listed.shown}: ", painted(verdict, colour)])
    if form == "json":
        print_json(rows)
    else:
        _say_who_is_silent(name)
    if any(row["faults"] for row in rows):
        ctx.exit(1)


@cache.command(epilog=example("hubplug cache prune --max-size 20GB", "hubplug cache prune --older-than 30d --dry-run"))
@click.option("--max-size", callback=_parsed(parse_size), metavar="SIZE", help="What may remain: 10GB, 512MiB, ...")
@click.option(
    "--older-than",
    callback=_parsed(parse_span),
    metavar="SPAN",
    help="Remove what was not used for this long: 30d, 12h, ...",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@_GRACE
@_CACHE
@for_machines()
def prune(
    max_size: int | None, older_than: float | None, dry_run: bool, grace: float, name: str | None, form: str
) -> None:
    """Remove the entries that were not used for longest, while others may read."""
    from hubplug_cache._pruning import choose_victims

    if max_size is None and older_than is None:
        raise click.UsageError("say what to remove: --max-size, --older-than, or both")
    now = time.time()
    chosen = [
        (cache, choose_victims(cache.entries(), now, max_size, older_than)) for cache in _caches(name, able_to="remove")
    ]
    _remove(chosen, grace, dry_run, form)


@cache.command("remove", epilog=example("hubplug cache remove https://models.example/publisher/model/1"))
@click.argument("handles", nargs=-1, required=True, type=HANDLE)
@_GRACE
@_CACHE
@for_machines()
def remove_(handles: tuple[str, ...], grace: float, name: str | None, form: str) -> None:
    """Remove the entries of HANDLES (or of keys, as `list` shows them) from the writable caches."""
    selected = _selected(handles, name, able_to="remove")
    caches = dict.fromkeys(listed.cache for listed in selected)
    _remove([(cache, [listed for listed in selected if listed.cache is cache]) for cache in caches], grace, False, form)


@cache.command(epilog=example("hubplug cache path", "hubplug cache path https://models.example/publisher/model/1"))
@click.argument("handle", required=False, type=HANDLE)
@_CACHE
@for_machines()
def path(handle: str | None, name: str | None, form: str) -> None:
    """Print the directory of the cache, or of the entry of HANDLE."""
    if handle is not None:
        listed = _selected((handle,), name)[0]
        cache, found = listed.cache, listed.entry.path
    else:
        caches = _caches(name)
        cache = next((one for one in caches if one.offered.remove), caches[0])
        found = cache.directory
    if form == "json":
        print_json({"cache": cache.name, "path": str(found)})
    else:
        click.echo(os.fspath(found))


@cache.command(
    epilog=example(
        "hubplug cache export modules.tar", "hubplug cache export one.tar https://models.example/publisher/model/1"
    )
)
@click.argument("archive", type=click.Path(dir_okay=False))
@click.argument("handles", nargs=-1, type=HANDLE)
@_CACHE
@for_machines()
def export(archive: str, handles: tuple[str, ...], name: str | None, form: str) -> None:
    """Write the entries of HANDLES, or all, into a tar ARCHIVE for a machine without a network."""
    from hubplug.urls import redact, scheme_of
    from hubplug_cache._transfer import export_entries

    if scheme_of(archive):
        raise click.UsageError(f"{redact(archive)} is not a local path: name the ARCHIVE to write, then the handles")
    entries = [listed.entry for listed in _selected(handles, name)]
    written, gone = export_entries(entries, Path(archive), all_of_them=not handles)
    for entry in gone:
        say(f"warning: {entry.path} was removed meanwhile, and is left out", err=True)
    if form == "json":
        print_json({"archive": archive, "entries": written})
        return
    _say_who_is_silent(name)
    say(f"{archive}: {len(written)} {'entry' if len(written) == 1 else 'entries'}")


@cache.command("import", epilog=example("hubplug cache import modules.tar"))
@click.argument("archive", type=click.Path(dir_okay=False, path_type=Path))
@_CACHE
@for_machines()
def import_(archive: Path, name: str | None, form: str) -> None:
    """Add the entries of an ARCHIVE that `export` wrote; every file is compared with its manifest."""
    from hubplug_cache._transfer import import_entries

    cache = _caches(name, able_to="add")[0]
    rows: list[dict[str, Any]] = []
    for imported in import_entries(cache.add, archive):
        rows.append({**asdict(imported), "path": str(imported.path)})
        if form == "text":
            say(f"{imported.path}  {imported.handle}{'' if imported.added else '  (was already there)'}")
    if form == "json":
        print_json(rows)
    unproven = sum(not row["derived"] for row in rows)
    if unproven:
        say(
            f"warning: {'1 entry is' if unproven == 1 else f'{unproven} entries are'} kept under the hash of a handle that is not "
            "shown in full: which one, only the archive says. Import archives from people you trust",
            err=True,
        )


def _caches(name: str | None, *, able_to: str | None = None) -> list[Cache]:
    from hubplug_cache._catalogue import caches_of

    return caches_of(current_hub(), name, able_to=able_to)


def _selected(handles: tuple[str, ...], name: str | None, *, able_to: str | None = None) -> list[Listed]:
    from hubplug_cache._catalogue import find_entries

    return find_entries(_caches(name, able_to=able_to), handles)


def _cells(listed: Listed) -> tuple[object, ...]:
    fetched = listed.entry.filled[:10] if listed.entry.filled else "-"
    state = painted(listed.state, "red" if listed.state == "damaged" else "green")
    size = f"{size_in_words(listed.size):>9}"
    return painted(listed.entry.key, "dim"), size, fetched, state, listed.cache.name, listed.shown


def _say_nothing_is_there(caches: Sequence[Cache]) -> None:
    # On standard error, so that a program which counts lines finds none.
    places = ", ".join(f"{cache.name} ({cache.directory})" for cache in caches)
    say(f"no module is cached: {places}", err=True)


def _say_who_is_silent(name: str | None) -> None:
    from hubplug_cache._catalogue import silent_caches

    for silent in silent_caches(current_hub()) if name is None else ():
        say(f"note: what the cache {silent} has is not known: its plugin does not implement hubplug_entries", err=True)


def _remove(chosen: Sequence[tuple[Cache, list[Listed]]], grace: float, dry_run: bool, form: str) -> None:
    """Removes entries of several caches, says what is gone, and fails where some are not."""
    rows: list[dict[str, Any]] = []
    failed: list[Exception] = []
    for cache, entries in chosen:
        why = {} if dry_run else cache.remove([listed.entry for listed in entries], grace)
        failed.extend(why.values())
        gone = [listed for listed in entries if listed.entry.key not in why]
        rows.extend(listed.as_json() for listed in gone)
        if form == "text":
            _say_what_is_gone(cache, gone, dry_run)
    if form == "json":
        print_json(rows)
    if failed:
        raise CacheError("; ".join(str(error) for error in failed), hint="ask whoever owns them")


def _say_what_is_gone(cache: Cache, entries: list[Listed], dry_run: bool) -> None:
    for listed in entries:
        say(f"{listed.entry.key}  {size_in_words(listed.size):>9}  {listed.shown}")
    total = size_in_words(sum(listed.size for listed in entries))
    say(f"{cache.directory}: {'would remove' if dry_run else 'removed'} {len(entries)} of its entries, {total}")
