"""The pages that a person reads, and the same as data for programs.

A page loads nothing from elsewhere: its style and its script are in it, and its policy names them by their digests.
"""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from hubplug_hosting._examples import examples
from hubplug_hosting._listing import Model

_MOST_BOXES = 8
_LONGEST_NAME = 22
_ROW = 46
_UNITS = ("bytes", "KB", "MB", "GB", "TB")
_COMMON = ("complete", "safe")


@dataclass(frozen=True)
class Site:
    """Where pages lie.

    Attributes:
        base_url: What handles begin with, and a slash.
        is_static: Whether they are files: there is no search that a server answers, and archives are named by their suffix.
    """

    base_url: str
    is_static: bool = False

    @property
    def prefix(self) -> str:
        """The path of the root, without a slash at its end: what links on the pages begin with."""
        return "/" + "/".join(self.base_url.split("/")[3:]).strip("/") if self.base_url.count("/") > 3 else ""


@dataclass(frozen=True)
class ModuleView:
    """What the page of a module shows.

    Attributes:
        name: ``publisher/model/1``.
        model: Its name without the version.
        number: The version, or None.
        versions: Of the model, the newest first.
        modified: When it was written, in seconds since 1970.
        archive: ``path``, ``size`` and ``sha256`` of what is downloaded.
        facts: What the archive says about itself, or a ``problem``.
        checks: Profile -> what it found; None while that is not known.
    """

    name: str
    model: str
    number: str | None
    versions: Sequence[str]
    modified: float
    archive: Mapping[str, Any]
    facts: Mapping[str, Any]
    checks: Mapping[str, Any] | None

    def as_data(self, site: Site) -> dict[str, Any]:
        """The same for a program."""
        return {
            "name": self.name,
            "model": self.model,
            "version": self.number,
            "versions": list(self.versions),
            "handle": site.base_url + quote(self.name),
            "pinned_handle": f"{site.base_url}{quote(self.name)}#sha256={self.archive['sha256']}",
            "modified": _timestamp(self.modified),
            "archive": {**self.archive, "url": site.base_url + quote(str(self.archive["path"]))},
            "module": dict(self.facts),
            "checks": None if self.checks is None else dict(self.checks),
        }


def index_page(models: Sequence[Model], site: Site, words: str = "", below: str = "") -> str:
    """The list of models: all of them, those of a publisher, or those that were searched for."""
    title = below or "Modules"
    return _render("index.html", site, title=title, models=models, words=words, below=below)


def index_data(models: Sequence[Model], site: Site) -> dict[str, Any]:
    """The same for a program."""
    return {
        "models": [
            {
                "name": model.name,
                "handle": site.base_url + quote(model.name),
                "size": model.newest.size,
                "modified": _timestamp(model.newest.modified),
                "versions": [version.number for version in model.versions if version.number is not None],
            }
            for model in models
        ]
    }


def module_page(view: ModuleView, site: Site) -> str:
    """What there is to know about a module without loading it."""
    handle = site.base_url + (view.archive["path"] if site.is_static else quote(view.name))
    checks = {} if view.checks is None or "problem" in view.checks else view.checks
    kept = [name for name, check in checks.items() if name not in _COMMON and check["state"] == "kept"]
    return _render(
        "module.html",
        site,
        title=view.name,
        view=view,
        facts=view.facts,
        handle=handle,
        examples=examples(view.facts, handle),
        common=kept,
        checked={name: checks[name] for name in _COMMON if name in checks},
        documentation=Markup(view.facts.get("documentation") or ""),  # which has been cleaned where it was made
        picture=_picture,
    )


def waiting_page(name: str, site: Site) -> str:
    """What is shown while a module is being looked at; it asks again by itself."""
    return _render("waiting.html", site, title=name)


def problem_page(title: str, message: str, site: Site, near: Sequence[str] = ()) -> str:
    """What is shown in the place of a page that there is not."""
    return _render("problem.html", site, title=title, message=message, near=near)


def page_headers() -> dict[str, str]:
    """What goes with every page."""
    return {
        "Content-Security-Policy": _policy(),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",
        "Vary": "Accept",
    }


def human_size(size: int | None) -> str:
    """``1.2 MB``."""
    if size is None:
        return "unknown size"
    amount, unit = float(size), 0
    while amount >= 1000 and unit < len(_UNITS) - 1:
        amount, unit = amount / 1000, unit + 1
    return f"{size:,} bytes" if unit == 0 else f"{amount:.{1 if amount < 100 else 0}f} {_UNITS[unit]}"


def shape_in_words(shape: Sequence[int | None] | None) -> str:
    """``[?, 224, 224, 3]``."""
    return "unknown" if shape is None else f"[{', '.join('?' if size is None else str(size) for size in shape)}]"


@lru_cache(1)
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("hubplug_hosting", "_templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(size=human_size, shape=shape_in_words, date=_date, path=quote)
    source = made.loader
    assert source is not None
    for name in ("style.css", "copy.js"):
        made.globals[name.replace(".", "_")] = Markup(source.get_source(made, name)[0])
    return made


@lru_cache(1)
def _policy() -> str:
    made = _environment().globals
    style, script = (_digest(str(made[name])) for name in ("style_css", "copy_js"))
    return (
        f"default-src 'none'; style-src '{style}'; script-src '{script}'; img-src data:; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    )


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _render(template: str, site: Site, **values: Any) -> str:
    policy = _policy().replace("; frame-ancestors 'none'", "")  # which is not for a meta element
    return _environment().get_template(template).render(site=site, policy=policy, **values)


def _picture(signature: Mapping[str, Any]) -> dict[str, Any]:
    """Where the boxes and lines of a signature's picture are."""
    sides = {}
    for side in ("inputs", "outputs"):
        rows = [
            (_abridged(key), f"{info['dtype']} {shape_in_words(info['shape'])}")
            for key, info in list(signature[side].items())[:_MOST_BOXES]
        ]
        if (more := len(signature[side]) - len(rows)) > 0:
            rows[-1] = (f"and {more + 1} more", "")
        sides[side] = rows
    height = max(len(sides["inputs"]), len(sides["outputs"]), 1) * _ROW + 14
    placed = {
        side: [
            {"name": name, "kind": _abridged(kind, 30), "y": (height - len(rows) * _ROW) / 2 + row * _ROW + 5}
            for row, (name, kind) in enumerate(rows)
        ]
        for side, rows in sides.items()
    }
    return {"height": height, "middle": height / 2, **placed}


def _abridged(text: str, longest: int = _LONGEST_NAME) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _date(seconds: float) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(seconds))


def _timestamp(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
