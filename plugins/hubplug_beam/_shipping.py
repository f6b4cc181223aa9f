"""What a pipeline takes along: the configuration of a Hub as text, with references to secrets and never with one.

Every worker makes a Hub of it, and resolves the handle through the same chain; what it gets must be what was found when the
pipeline was made, which is how pins of hubplug.lock hold for workers that do not have that file. What ``${NAME}`` stands for, it takes from an
environment of its own.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hubplug.errors import ConfigError
from hubplug.hub import Hub
from hubplug.in_effect import current_hub
from hubplug.settings.config import REFERENCE
from hubplug.shown.redaction import HIDDEN, without_secrets
from hubplug.spec import ModuleSpec
from hubplug.types import Handle, LocalModule
from hubplug.urls import redact
from hubplug_beam._calls import Call, plan_call
from hubplug_beam._content import content_of

# Names of options that are not shown although what stands there opens nothing.
_HIDDEN_AND_NO_SECRET = ("header", "client_auth", "username")


@dataclass(frozen=True)
class Shipment:
    """What a worker needs to apply a module.

    Attributes:
        config: The configuration of the Hub to ask; ``hub_of`` makes one of it.
        handle: The module.
        call: What is applied to what.
        content: The digest that the module must have.
        threads: How many threads TensorFlow may use in a worker process; None: as many as there are cores.
        locked: Whether the configuration refuses modules that are not pinned.
    """

    config: str
    handle: str
    call: Call
    content: str
    threads: int | None = None
    locked: bool = False


def ship(hub: Hub | None, handle: str, threads: int | None = None, **wanted: Any) -> Shipment:
    """Checks what is asked for, and resolves the module once, without TensorFlow.

    Args:
        hub: The Hub to ask; None: the one in effect.
        handle: The module.
        threads: How many threads TensorFlow may use in a worker process; None: as many as there are cores.
        wanted: What ``plan_call`` takes.

    Raises:
        ConfigError: A secret would be stored with the pipeline.
        UnknownSignatureError: There is no such signature.
        InputError: Inputs or outputs do not fit.
        DigestMismatch: The lock file says otherwise, or does not list the handle and the configuration says ``locked``.
        HubplugError: The handle cannot be resolved.
    """
    demand_no_secret(handle)
    hub = hub or current_hub()
    config = as_text(hub)

    def read(spec: ModuleSpec) -> Shipment:
        assert spec.module is not None  # a Hub read it
        call, content = plan_call(spec, **wanted), content_of(spec.module)
        return Shipment(config, shipped_handle(handle, spec.module), call, content, threads, hub.config.locked)

    return hub.use_spec(handle, read)


def as_text(hub: Hub) -> str:
    """What ``hub_of`` makes an equal Hub of.

    Raises:
        ConfigError: A secret stands in the configuration itself; or the Hub has plugin objects, which are no text.
    """
    config = hub.config
    if len(hub.chain.members) != len(_named(hub)):
        raise ConfigError(
            "The Hub has plugin objects that a program gave it, which workers do not have",
            hint="offer the plugin through an entry point, and name it in hubplug.yaml",
        )
    plugins = {}
    for name in _named(hub):
        made = config.plugin(name)
        options = json.loads(json.dumps(dict(made.options), default=str))
        for path in _secrets(options, without_secrets(options), ""):
            raise ConfigError(
                f"{config.where}: plugins.{name}.options{path} is a secret, which would be stored with the pipeline",
                hint="write ${NAME}, and set that environment variable on the workers",
            )
        plugins[name] = {"use": made.use, "options": options}
    return json.dumps(
        {
            "chain": _named(hub),
            "plugins": plugins,
            "offline": config.offline,
            "server_schemes": list(config.server_schemes),
            "limits": dict(config.limits),
            "validate": {prefix: list(names) for prefix, names in config.validate.items()},
        },
        sort_keys=True,
    )


def hub_of(text: str) -> Hub:
    """The Hub that a worker asks."""
    return Hub(json.loads(text))


def shipped_handle(handle: str, module: LocalModule) -> str:
    """The handle for workers: what it means now, with the digest of the archive.

    Args:
        handle: As typed.
        module: What it was resolved to.
    """
    typed = Handle.parse(handle)
    if not typed.scheme:
        text = os.path.abspath(typed.text) if os.path.exists(typed.text) else typed.text
        return f"{text}#sha256={typed.sha256}" if typed.sha256 else text  # workers may stand in another directory
    # One that means the latest of something would mean something else to a worker that starts later.
    named = (step.text for step in module.handle.trail if step.answered and str(step) == step.text)
    text = next(named, typed.text)
    sha256 = typed.sha256 or (module.provenance.archive_sha256 if module.provenance else None)
    return f"{text}#sha256={sha256}" if sha256 else text


def demand_no_secret(url: str) -> None:
    """
    Raises:
        ConfigError: There is a secret in a path or URL.
    """
    if redact(url) != url and redact(url) != url.partition("#")[0]:
        raise ConfigError(
            f"There is a user, a password or a query in {redact(url)}, which would be stored with the pipeline",
            hint="sign requests by a rule of the plugin auth, with ${NAME} for the secret: docs/sign-on.md",
        )


def _named(hub: Hub) -> list[str]:
    _, (_, given) = hub.__reduce__()
    return [member.name for member in hub.chain.members[len(given) :]]


def _secrets(raw: Any, shown: Any, path: str) -> Iterator[str]:
    """Where what may be shown differs from what there is."""
    if isinstance(raw, Mapping) and isinstance(shown, Mapping):
        for key, value in raw.items():
            if key not in _HIDDEN_AND_NO_SECRET:
                yield from _secrets(value, shown.get(key), f"{path}.{key}")
    elif isinstance(raw, list) and isinstance(shown, list):
        for number, (value, other) in enumerate(zip(raw, shown, strict=True)):
            yield from _secrets(value, other, f"{path}[{number}]")
    elif raw != shown and not (shown == HIDDEN and isinstance(raw, str) and REFERENCE.search(raw)):
        yield path
