"""``hubplug pack``, ``publish``, ``serve`` and ``site``."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hubplug.cli.commands import PROFILE, example, for_machines, print_json
from hubplug.errors import ConfigError
from hubplug.shown.terminal import say

if TYPE_CHECKING:
    from hubplug.files.signatures import SigningKey


@click.command(epilog=example("hubplug pack ./model -o models/publisher/model/1.tar.gz"))
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(), help="The archive: model.tar.gz")
@click.option("--force", is_flag=True, help="Replace the archive if it exists.")
@click.option("--compress", is_flag=True, help="Make it smaller; its bytes then depend on this Python's zlib.")
@for_machines()
def pack(directory: Path, output: str, force: bool, compress: bool, form: str) -> None:
    """Make the archive of a module, as a server would send it.

    The same module gives the same bytes on every machine, so that its digest can be published and pinned.
    """
    # Not at the top: `hubplug --help` loads this file.
    from hubplug_hosting._packing import pack_module

    packed = pack_module(directory, output, force=force, compress=compress)
    if form == "json":
        print_json({**asdict(packed), "path": str(packed.path)})
        return
    say(f"{packed.path}: {packed.size:,} bytes ({packed.files} files of {packed.content_size:,} bytes)")
    say(f"sha256 {packed.sha256}")
    say(f"pin it with HANDLE#sha256={packed.sha256}")


@click.command(
    epilog=example(
        "hubplug publish ./model models/publisher/model/2 --profile complete",
        "hubplug publish ./model gs://bucket/models/publisher/model/2",
        "hubplug publish ./model models/publisher/model/2 --sign signing.key",
    )
)
@click.argument("source", metavar="DIRECTORY", type=click.Path())
@click.argument("place", metavar="URL_OR_PATH", type=click.Path())
@click.option(
    "--profile",
    "profiles",
    multiple=True,
    metavar="NAME",
    type=PROFILE,
    help="A common signature that it has to keep; repeatable.",
)
@click.option(
    "--served-as", metavar="URL", help="The handle by which it will be asked for, to be printed with its pin."
)
@click.option(
    "--sign",
    "key",
    type=click.Path(path_type=Path),
    metavar="KEY",
    help="Sign it with this private key (PEM); needs hubplug[signing].",
)
@click.option(
    "--certificate",
    type=click.Path(path_type=Path),
    help="PEM file with the certificate of KEY, and those above it: the signature names who has it.",
)
@click.option("--keyless", is_flag=True, help="Sign it as who you are for an identity provider, through Sigstore.")
@click.option(
    "--password-env",
    metavar="NAME",
    help="An environment variable that holds the password of KEY; else it is asked for.",
)
@for_machines()
def publish(
    source: str,
    place: str,
    profiles: tuple[str, ...],
    served_as: str | None,
    key: Path | None,
    certificate: Path | None,
    keyless: bool,
    password_env: str | None,
    form: str,
) -> None:
    """Check a module and put it where people get it, never over what is there.

    It has to keep the profiles complete and safe. PATH is a place in a tree that is served, models/publisher/model/2: the archive is put there with one
    step. A URL is for the plugin that publishes there.
    """
    from hubplug.in_effect import current_hub
    from hubplug.types import Handle
    from hubplug_hosting._publishing import publish_module

    signing_key = _signing_key(key, certificate, keyless, password_env)
    published = publish_module(current_hub(), source, place, profiles, signing_key)
    shown = published.place if published.is_archive else str(Handle.parse(published.place))
    pinned = f"{served_as or shown}#sha256={published.sha256}" if published.is_archive or served_as else shown
    if form == "json":
        print_json({**asdict(published), "place": shown, "handle": pinned})
        return
    say(
        f"{shown}: {published.size:,} bytes, sha256 {published.sha256}"
        if published.is_archive
        else f"{shown}: published"
    )
    say(pinned)


def _signing_key(
    key: Path | None, certificate: Path | None, keyless: bool, password_env: str | None
) -> SigningKey | None:
    from hubplug.files.signatures import SigningKey
    from hubplug.settings.config import environment_value

    if keyless and key is not None:
        raise click.UsageError("--keyless is for signing without a key: leave out --sign or it")
    if key is None and (certificate is not None or password_env is not None):
        raise click.UsageError("--certificate and --password-env go with --sign")

    def password() -> str:
        if password_env is None:
            if not sys.stdin.isatty():
                raise ConfigError(f"{key} has a password", hint="name a variable that holds it with --password-env")
            return str(click.prompt(f"Password of {key}", hide_input=True, err=True))
        value = environment_value(password_env)
        if value is None:
            raise ConfigError(
                f"{key} has a password, and the environment variable {password_env} is not set, or empty",
                hint="set it, or leave out --password-env to be asked",
            )
        return value

    return SigningKey(key, certificate, password) if keyless or key is not None else None


@click.command(epilog=example("hubplug site models /srv/www --url https://hub.example.com/"))
@click.argument("root", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--url", required=True, help="What handles begin with where OUT will be served.")
@for_machines()
@click.pass_context
def site(ctx: click.Context, root: Path, out: Path, url: str, form: str) -> None:
    """Write the pages and archives of a tree as files, for nginx or a bucket.

    OUT/nginx.conf has the rules for requests of hubplug and tensorflow_hub. Run it again after a change: pages are replaced, archives never.
    """
    from hubplug.in_effect import current_hub
    from hubplug_hosting._site import write_site

    written = write_site(current_hub(), root, out, url)
    if form == "json":
        print_json(asdict(written))
    else:
        modules = f"{written.modules} module{'s' * (written.modules != 1)}"
        models = f"{written.models} model{'s' * (written.models != 1)}"
        say(f"{out}: {modules} of {models}; for nginx: include {out}/nginx.conf")
    for name, reason in written.problems:
        say(f"left out: {name}: {reason}", err=True)
    for name in written.unmapped:
        say(f"warning: nginx.conf has no rule for {name}: its archive has to be named", err=True)
    ctx.exit(1 if written.problems else 0)


@click.command(epilog=example("hubplug serve models --port 8080"))
@click.argument("root", type=click.Path(path_type=Path))
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=0, type=click.IntRange(0, 65535), help="0, the default: any free one.")
@click.option(
    "--gs", "gs_location", metavar="gs://BUCKET/PATH", help="Where the same tree is, for uncompressed requests."
)
@click.option("--token-file", type=click.Path(path_type=Path), help="A file of tokens, one in each line, that let in.")
@click.option("--token-env", metavar="NAME", help="An environment variable that holds a token that lets in.")
@click.option("--cert", type=click.Path(path_type=Path), help="PEM file with certificate and chain: serve https.")
@click.option("--key", type=click.Path(path_type=Path), help="PEM file with its key, if that is another file.")
@click.option("--root-path", default="", metavar="/PATH", help="What paths begin with at the proxy in front.")
@click.option(
    "--proxy",
    "proxies",
    multiple=True,
    metavar="ADDRESS",
    help="A proxy whose X-Forwarded-* headers count; repeatable.",
)
@click.option(
    "--work",
    type=click.Path(path_type=Path),
    help="A directory of yours alone that keeps what was packed; or temporary.",
)
@click.option(
    "--access-log",
    metavar="FILE",
    type=click.Path(),
    help="Write a line for each request; - stands for standard error.",
)
@click.option(
    "--grace", default=10.0, show_default=True, metavar="SECONDS", help="How long downloads get to end at Ctrl-C."
)
@for_machines()
def serve(
    root: Path,
    host: str,
    port: int,
    gs_location: str | None,
    token_file: Path | None,
    token_env: str | None,
    cert: Path | None,
    key: Path | None,
    root_path: str,
    proxies: tuple[str, ...],
    work: Path | None,
    access_log: str | None,
    grace: float,
    form: str,
) -> None:
    """Serve a tree of modules over HTTP, to people, and to clients of hubplug and of tensorflow_hub.

    ROOT/publisher/model/1, a module directory or an archive (1.tar.gz), is what http://HOST:PORT/publisher/model/1 names.
    """
    from hubplug_hosting._server import ModuleServer, read_tokens

    stop = threading.Event()
    tokens = read_tokens(token_file, token_env)
    with _log_of(access_log) as log, ExitStack() as signals:
        server = ModuleServer(
            root,
            host=host,
            port=port,
            gs_location=gs_location,
            tokens=tokens,
            certificate=cert,
            key=key,
            root_path=root_path,
            trusted_proxies=proxies,
            work=work,
            grace=grace,
            log=log,
        )

        def end(*_: object) -> None:
            if stop.is_set():
                server.stop_at_once()
            stop.set()

        for number in (signal.SIGINT, signal.SIGTERM):
            signals.callback(signal.signal, number, signal.signal(number, end))
        with server:
            count = server.count_modules()
            modules = "1 module" if count == 1 else f"{count} modules"
            if form == "json":
                print_json({"root": str(root), "url": server.url, "modules": count}, one_line=True)
            else:
                say(f"Serving {root} on {server.url} ({modules}); stop with Ctrl-C")
                say(*() if count else _how_to_add(root))
            stop.wait()


@contextmanager
def _log_of(access_log: str | None) -> Iterator[Callable[[str], None] | None]:
    if access_log is None:
        yield None
    elif access_log == "-":
        yield lambda line: say(_stamped(line), err=True)
    else:
        try:
            file = open(access_log, "a", encoding="utf-8", buffering=1)  # noqa: SIM115
        except OSError as error:
            raise ConfigError(f"{access_log} cannot be written: {error.strerror}") from error
        with file:
            yield lambda line: print(_stamped(line), file=file)


def _stamped(line: str) -> str:
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} {line}"


def _how_to_add(root: Path) -> tuple[str, ...]:
    return (
        f"{root} holds no module yet, so there is nothing to request. Put one at PUBLISHER/MODEL/VERSION below it:",
        f"  module.export({str(root / 'publisher/model/1')!r}, session)",
        f"  or: hubplug publish DIRECTORY {root / 'publisher/model/1'}",
        "It is served without a restart.",
    )
