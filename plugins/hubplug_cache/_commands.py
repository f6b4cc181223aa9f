"""``hubplug cache``: look after the caches of the chain."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hubplug.cli.commands import HANDLE, Completed, Group, current_hub, example, for_machines, print_json
from hubplug.errors import CacheError, HubplugError
from hubplug.shown.terminal import Colour, aligned, painted, say
from hubplug.urls import redact, scheme_of
from hubplug_cache import CacheDirectory
from hubplug_cache._quantities import parse_size, parse_span, size_in_words

if TYPE_CHECKING:
    from hubplug_cache._catalogue import Listed

_CACHE_NAME = Completed(lambda hub: [name for name, _ in hub.instances(CacheDirectory)])
_CACHE = click.option(
    "--cache", "name", metavar="NAME", type=_CACHE_NAME, help="Only the cache of this name in the chain."
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
    rows = [(cache_name, entry) for cache_name, plugin in caches for entry in _entries(plugin)]
    if form == "json":
        print_json([entry.as_json(cache_name) for cache_name, entry in rows])
        return
    if not rows:
        _say_nothing_is_there(caches)
    else:
        say(*aligned([_cells(cache_name, entry) for cache_name, entry in rows]))
    for _, entry in rows:
        if entry.fault:
            say([painted(f"{entry.path.name}:", "red"), f" {entry.fault}"])


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
    from hubplug_cache._trouble import cache_error
    from hubplug_cache._verifying import find_faults, mark

    rows: list[dict[str, Any]] = []
    selected = _selected(handles, name)
    if not selected and form == "text":
        _say_nothing_is_there(_caches(name))
    for cache_name, plugin, entry in selected:
        try:
            faults = find_faults(entry.path)
        except OSError as error:
            faults = [cache_error("verify", entry.path, error).message]
        if not plugin.read_only and entry.manifest is not None:
            try:
                mark(entry.path, faults)
            except OSError as error:
                say(f"warning: {cache_error('mark', entry.path, error).message}", err=True)
        rows.append({**entry.as_json(cache_name), "state": "damaged" if faults else entry.state, "faults": faults})
        rows[-1].pop("fault")
        if form == "text":
            verdict = "; ".join(faults) or ("whole, but no digests were recorded" if entry.manifest is None else "good")
            colour: Colour = "red" if faults else "green"
            say([f"{entry.path.name}  {entry.handle or 'of an unknown handle'}: ", painted(verdict, colour)])
    if form == "json":
        print_json(rows)
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
    chosen = [
        (cache_name, plugin, choose_victims(_entries(plugin), time.time(), max_size, older_than))
        for cache_name, plugin in _writable(name)
    ]
    _remove(chosen, grace, dry_run, form)


@cache.command("remove", epilog=example("hubplug cache remove https://models.example/publisher/model/1"))
@click.argument("handles", nargs=-1, required=True, type=HANDLE)
@_GRACE
@_CACHE
@for_machines()
def remove_(handles: tuple[str, ...], grace: float, name: str | None, form: str) -> None:
    """Remove the entries of HANDLES (or of keys, as `list` shows them) from the writable caches."""
    by_cache: dict[str, tuple[str, CacheDirectory, list[Listed]]] = {}
    for cache_name, plugin, entry in _selected(handles, name, writable=True):
        by_cache.setdefault(cache_name, (cache_name, plugin, []))[2].append(entry)
    _remove(list(by_cache.values()), grace, False, form)


@cache.command(epilog=example("hubplug cache path", "hubplug cache path https://models.example/publisher/model/1"))
@click.argument("handle", required=False, type=HANDLE)
@_CACHE
def path(handle: str | None, name: str | None) -> None:
    """Print the directory of the cache, or of the entry of HANDLE."""
    if handle is not None:
        click.echo(_selected((handle,), name)[0][2].path)
        return
    caches = _caches(name)
    writable = [plugin for _, plugin in caches if not plugin.read_only]
    click.echo((writable or [caches[0][1]])[0].root().path)


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
    from hubplug_cache._transfer import export_entries

    if scheme_of(archive):
        raise click.UsageError(f"{redact(archive)} is not a local path: name the ARCHIVE to write, then the handles")
    paths = {entry.path.name: entry.path for _, _, entry in reversed(_selected(handles, name))}
    gone = export_entries(list(paths.values()), Path(archive), all_of_them=not handles)
    for path in gone:
        say(f"warning: {path} was removed meanwhile, and is left out", err=True)
    count = len(paths) - len(gone)
    if form == "json":
        print_json({"archive": archive, "entries": [key for key, path in paths.items() if path not in gone]})
        return
    say(f"{archive}: {count} {'entry' if count == 1 else 'entries'}")


@cache.command("import", epilog=example("hubplug cache import modules.tar"))
@click.argument("archive", type=click.Path(dir_okay=False, path_type=Path))
@_CACHE
@for_machines()
def import_(archive: Path, name: str | None, form: str) -> None:
    """Add the entries of an ARCHIVE that `export` wrote; every file is compared with its manifest."""
    from hubplug_cache._transfer import import_entries

    plugin = _writable(name)[0][1]
    rows: list[dict[str, Any]] = []
    for imported in import_entries(plugin.root(), archive, plugin.lock_timeout):
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


def _caches(name: str | None) -> list[tuple[str, CacheDirectory]]:
    caches = current_hub().instances(CacheDirectory)
    chosen = [(cache_name, plugin) for cache_name, plugin in caches if name in (None, cache_name)]
    if not chosen:
        known = ", ".join(cache_name for cache_name, _ in caches) or "none"
        raise HubplugError(
            f"The chain has no cache{f' named {name!r}' if name else ''}; its caches: {known}",
            hint="`hubplug config show` prints the chain",
        )
    return chosen


def _cells(cache_name: str, entry: Listed) -> tuple[object, ...]:
    fetched = entry.manifest.time[:10] if entry.manifest else "-"
    state = painted(entry.state, "red" if entry.state == "damaged" else "green")
    size = f"{size_in_words(entry.size):>9}"
    return painted(entry.path.name, "dim"), size, fetched, state, cache_name, entry.handle or "of an unknown handle"


def _say_nothing_is_there(caches: list[tuple[str, CacheDirectory]]) -> None:
    # On standard error, so that a program which counts lines finds none.
    places = ", ".join(f"{cache_name} ({plugin.root().path})" for cache_name, plugin in caches)
    say(f"no module is cached: {places}", err=True)


def _writable(name: str | None) -> list[tuple[str, CacheDirectory]]:
    writable = [(cache_name, plugin) for cache_name, plugin in _caches(name) if not plugin.read_only]
    if not writable:
        raise CacheError("Every cache of the chain is read-only", hint="put a writable one into hubplug.yaml")
    return writable


def _entries(plugin: CacheDirectory) -> list[Listed]:
    from hubplug_cache._catalogue import list_entries
    from hubplug_cache._trouble import cache_error

    root = plugin.root().path
    try:
        return list_entries(root)
    except OSError as error:
        raise cache_error("list", root, error) from error


def _selected(
    handles: tuple[str, ...], name: str | None, writable: bool = False
) -> list[tuple[str, CacheDirectory, Listed]]:
    """The entries of handles or keys in the order asked for, each once; all of them if none are named."""
    from hubplug.types import Handle
    from hubplug_cache._layout import is_entry_name

    caches = _writable(name) if writable else _caches(name)
    if not handles:
        return [(cache_name, plugin, entry) for cache_name, plugin in caches for entry in _entries(plugin)]
    selected: dict[tuple[str, Path], tuple[str, CacheDirectory, Listed]] = {}
    for text in handles:
        there = [
            (cache_name, plugin, entry)
            for cache_name, plugin in caches
            for entry in _entries_of(text, plugin.root().path)
        ]
        if not there:
            looked = ", ".join(str(plugin.root().path) for _, plugin in caches)
            shown = text if is_entry_name(text) else Handle.parse(text)
            raise CacheError(f"There is no entry for {shown} in {looked}", hint="`hubplug cache list` shows all")
        for found in there:
            selected.setdefault((found[0], found[2].path), found)
    return list(selected.values())


def _entries_of(text: str, root: Path) -> list[Listed]:
    """The entry of a key or a handle; for a local archive every entry that was made from it."""
    from hubplug.types import Handle
    from hubplug_cache._catalogue import describe, list_entries
    from hubplug_cache._layout import entry_name, is_entry_name

    handle = text if is_entry_name(text) else Handle.parse(text).text
    entry = describe(root / (text if is_entry_name(text) else entry_name(handle)))
    if entry is not None or scheme_of(handle) or is_entry_name(text):
        return [] if entry is None else [entry]
    # The key of an archive has its size and time as well.
    names = {handle, os.path.realpath(handle)}
    return [entry for entry in list_entries(root) if entry.handle in names]


def _remove(chosen: list[tuple[str, CacheDirectory, list[Listed]]], grace: float, dry_run: bool, form: str) -> None:
    """Removes entries of several caches, says what is gone, and fails where some are not."""
    from hubplug_cache._pruning import remove
    from hubplug_cache._sweeping import sweep
    from hubplug_cache._trouble import cache_error

    rows: list[dict[str, Any]] = []
    failed: list[CacheError] = []
    for cache_name, plugin, entries in chosen:
        root, gone = plugin.root().path, entries
        if not dry_run and root.is_dir():
            why = remove([entry.path for entry in entries], grace)
            failed.extend(why.values())
            gone = [entry for entry in entries if entry.path not in why]
            try:
                sweep(root, grace)
            except OSError as error:
                raise cache_error("remove entries of", root, error) from error
        rows.extend(entry.as_json(cache_name) for entry in gone)
        if form == "text":
            _say_what_is_gone(root, gone, dry_run)
    if form == "json":
        print_json(rows)
    if failed:
        raise CacheError("; ".join(error.message for error in failed), hint="ask whoever owns them")


def _say_what_is_gone(root: Path, entries: list[Listed], dry_run: bool) -> None:
    for entry in entries:
        say(f"{entry.path.name}  {size_in_words(entry.size):>9}  {entry.handle or 'of an unknown handle'}")
    total = size_in_words(sum(entry.size for entry in entries))
    say(f"{root}: {'would remove' if dry_run else 'removed'} {len(entries)} of its entries, {total}")
