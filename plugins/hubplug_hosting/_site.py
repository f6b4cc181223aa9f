"""``hubplug site``: the pages and archives of a tree as files, for a server or a bucket that only sends files."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hubplug.errors import ConfigError, ExportError, HubplugError, OccupiedError, needs
from hubplug.files.space import reason_of
from hubplug.files.staging import replace_file
from hubplug.hub import Hub
from hubplug_hosting._listing import Model, list_models
from hubplug_hosting._tree import ModuleTree

with needs("jinja2", "serve"), needs("markdown_it", "serve"), needs("nh3", "serve"):
    import markdown_it  # noqa: F401
    import nh3  # noqa: F401

    from hubplug_hosting._artifacts import Artifact, Artifacts, WorkFolder
    from hubplug_hosting._descriptions import Descriptions
    from hubplug_hosting._pages import Site, index_data, index_page, module_page, problem_page
    from hubplug_hosting._views import describe, view_of

_PLAIN = re.compile(r"[A-Za-z0-9/._@+=,~-]+")
_CONFIGURATION = """\
# Serves this directory as hubplug and tensorflow_hub ask for modules. For the http block of nginx: include {out}/nginx.conf;
# Below another path than /, take what is in the server block into a location of yours.

map_hash_max_size {size};
map_hash_bucket_size 512;

map $uri $hubplug_name {{
    default $uri;
    "~^(?<hubplug_stem>.+)/$" $hubplug_stem;
}}
map $hubplug_name $hubplug_archive {{
    default "";
{archives}
}}
map $args $hubplug_asked {{
    default "";
    "~(^|&)tf-hub-format=compressed(&|$)" archive;
    "~(^|&)tf-hub-format=" other;
}}
map "$hubplug_asked:$hubplug_archive" $hubplug_answer {{
    default page;
    "~^archive:/" archive;
    "~^archive:" missing;
    "~^other:" other;
}}
# What has a version never changes.
map $request_uri $hubplug_caching {{
    default no-cache;
    "~^[^?]*/[0-9]+({suffixes}|/?\\?tf-hub-format=compressed)$" "public, max-age=31536000, immutable";
}}
map $http_accept $hubplug_index {{
    default index.html;
    "~text/html" index.html;
    "~application/json" index.json;
}}

server {{
    listen 80;
    root {out};
    server_tokens off;
    absolute_redirect off;

    location / {{
        if ($hubplug_answer = archive) {{ rewrite ^ $hubplug_archive last; }}
        if ($hubplug_answer = missing) {{ return 404; }}
        if ($hubplug_answer = other) {{ return 406; }}
        try_files $uri $uri/$hubplug_index =404;
        add_header X-Content-Type-Options nosniff;
        add_header Vary Accept;
        add_header Cache-Control no-cache;
        types {{ text/html html; application/json json; }}
        charset utf-8;
    }}
    location ~ ({suffixes})$ {{
        gzip off;
        types {{ application/gzip gz tgz; application/x-tar tar; }}
        default_type application/octet-stream;
        add_header Cache-Control $hubplug_caching;
        add_header X-Content-Type-Options nosniff;
    }}
    location = /nginx.conf {{ return 404; }}
    error_page 404 /404.html;
}}
"""


@dataclass(frozen=True)
class WrittenSite:
    """What was written.

    Attributes:
        models: How many models.
        modules: How many modules, all versions counted.
        problems: Modules that are left out, each with the reason.
        unmapped: Modules whose names the rules for nginx leave out; their archives have to be named.
    """

    models: int
    modules: int
    problems: tuple[tuple[str, str], ...]
    unmapped: tuple[str, ...]


def write_site(hub: Hub, root: str | os.PathLike[str], out: str | os.PathLike[str], url: str) -> WrittenSite:
    """Writes the pages and archives of a tree as files, and ``nginx.conf`` with the rules for the protocol.

    Pages that are there are replaced, each with one rename, after the archives that they name; an archive that is there with other bytes is an error. Nothing is deleted.

    Args:
        hub: Reads and validates.
        root: As for ``hubplug serve``.
        out: The directory to be filled.
        url: What handles begin with: ``https://hub.example.com/``.

    Raises:
        ConfigError: ``url`` is not one; ``out`` lies inside of ``root``.
        OccupiedError: A version is there with other bytes.
        ExportError: ``out`` cannot be written.
    """
    if not re.fullmatch(r"https?://[^/?#\s]+(/[^?#\s]*)?", url):
        raise ConfigError(f"{url} is not the URL of a site", hint="give one like https://hub.example.com/")
    source, target = Path(root).resolve(), Path(out).resolve()
    if source == target or source in target.parents:
        raise ConfigError(f"{out} lies inside of {root}, and would be served with it", hint="choose a place outside")
    if not source.is_dir():
        raise ConfigError(f"{root} is not a directory", hint="give the directory that has modules below it")
    work = WorkFolder()
    descriptions = Descriptions(hub, work)
    tree = ModuleTree.of(source, hub)
    try:
        return _Writer(tree, target, Site(url if url.endswith("/") else f"{url}/", is_static=True)).write(
            Artifacts(tree, work), descriptions
        )
    except HubplugError:
        raise
    except OSError as error:
        raise ExportError(f"{out} cannot be written: {reason_of(error, target)}") from error
    finally:
        descriptions.close()
        work.close()


class _Writer:
    def __init__(self, tree: ModuleTree, out: Path, site: Site) -> None:
        self._tree, self._out, self._site = tree, out, site

    def write(self, artifacts: Artifacts, descriptions: Descriptions) -> WrittenSite:
        problems: list[tuple[str, str]] = []
        archives: dict[str, str] = {}
        models = []
        for model in list_models(self._tree):
            versions = []
            for version in model.versions:
                place = version.place
                try:
                    with (artifact := artifacts.make(place)).file:
                        known = describe(self._tree.root, place, artifact, descriptions)
                        known.checks.result()  # and so the facts, too
                        view = view_of(self._tree, place, artifact.size, artifact.sha256, known)
                        self._archive(artifact, view.archive["path"])
                except OccupiedError:
                    raise
                except HubplugError as error:
                    problems.append((place.name, error.message))
                    continue
                versions.append(version)
                names = [place.name] if versions[1:] or version.number is None else [place.name, model.name]
                for name in names:
                    archives[f"/{name}"] = f"/{view.archive['path']}"
                    self._page(name, module_page(view, self._site), view.as_data(self._site))
            if versions:
                models.append(Model(model.name, tuple(versions)))
        self._lists(models)
        unmapped = self._configuration(archives)
        return WrittenSite(len(models), sum(len(model.versions) for model in models), tuple(problems), unmapped)

    def _archive(self, artifact: Artifact, path: str) -> None:
        target = self._out / path
        if target.exists():
            if not _is_equal(target, artifact):
                raise OccupiedError(
                    f"{target} exists with other bytes, and what has been published never changes",
                    hint="publish the module as a new version, or remove the old archive yourself",
                )
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        artifact.file.seek(0)
        with replace_file(target) as file:
            shutil.copyfileobj(artifact.file, file, 1 << 20)
            if not artifact.is_unchanged():
                raise ExportError(f"{path} changed while it was read", hint="replace archives by renaming")

    def _lists(self, models: list[Model]) -> None:
        below: dict[str, list[Model]] = {}
        for model in models:
            for above in _above(model.name):
                below.setdefault(above, []).append(model)
        for name, listed in below.items():
            if not any(model.name == name for model in models):
                self._page(name, index_page(listed, self._site, below=name), index_data(listed, self._site))
        self._page("", index_page(models, self._site), index_data(models, self._site))
        missing = problem_page("There is no such module", "Nothing is called that here.", self._site)
        self._file("404.html", missing.encode("utf-8", "replace"))

    def _configuration(self, archives: dict[str, str]) -> tuple[str, ...]:
        fine = {name: path for name, path in archives.items() if _PLAIN.fullmatch(name) and _PLAIN.fullmatch(path)}
        text = _CONFIGURATION.format(
            out=self._out,
            suffixes="|".join(map(re.escape, self._tree.suffixes)),
            size=max(2048, 4 * len(fine)),
            archives="\n".join(f"    {name} {path};" for name, path in sorted(fine.items())),
        )
        self._file("nginx.conf", text.encode())
        return tuple(sorted(name.strip("/") for name in archives.keys() - fine.keys()))

    def _page(self, name: str, page: str, data: Any) -> None:
        self._file(os.path.join(name, "index.html"), page.encode("utf-8", "replace"))
        self._file(os.path.join(name, "index.json"), json.dumps(data).encode())

    def _file(self, name: str, content: bytes) -> None:
        target = self._out / name
        if target.is_file() and target.read_bytes() == content:
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        with replace_file(target) as file:
            file.write(content)


def _above(name: str) -> Iterator[str]:
    parts = name.split("/")
    return ("/".join(parts[:end]) for end in range(1, len(parts)))


def _is_equal(path: Path, artifact: Artifact) -> bool:
    if path.stat().st_size != artifact.size:
        return False
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest() == artifact.sha256
