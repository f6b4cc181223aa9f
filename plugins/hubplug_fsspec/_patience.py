"""How long the client of a store repeats what fails: for seconds where nothing listens or the credentials are refused, for
some more where the store is busy.

By itself gcsfs repeats each request for 34 s whatever the reason, with no option for less, and an export makes many. botocore
repeats it for up to 15 s, and s3fs repeats botocore.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Mapping
from functools import cache
from typing import Any

_S3_ATTEMPTS = 4
# Seconds before a request to Google's store is repeated, each with up to as much again at random.
_WHEN_BUSY = (0.5, 1.0, 2.0, 4.0)
_WHEN_HOPELESS = (0.5,)


@cache
def patient_kind(kind: type[Any]) -> type[Any]:
    """A class of file systems with bounds to what it repeats; itself where there is nothing to bound."""
    package = kind.__module__.partition(".")[0]
    if package == "s3fs":
        return type(kind.__name__, (kind,), {"retries": 2, "__module__": kind.__module__})
    once = getattr(getattr(kind, "_request", None), "__wrapped__", None)
    if package != "gcsfs" or once is None:
        return kind

    async def _request(self: Any, *arguments: Any, **options: Any) -> Any:
        for attempt in itertools.count():
            try:
                return await once(self, *arguments, **options)
            except Exception as error:
                pauses = pauses_after(error)
                if attempt >= len(pauses):
                    raise
                await asyncio.sleep(pauses[attempt] * (1 + random.random()))
        raise AssertionError

    return type(kind.__name__, (kind,), {"_request": _request, "__module__": kind.__module__})


def pauses_after(error: Exception) -> tuple[float, ...]:
    """Before each time that gcsfs may repeat a request which failed so."""
    from aiohttp import ClientConnectorError
    from gcsfs.retry import HttpError, is_retriable
    from google.auth.exceptions import GoogleAuthError

    if isinstance(error, (ClientConnectorError, GoogleAuthError)):
        return _WHEN_HOPELESS
    if not is_retriable(error):
        return ()
    return _WHEN_HOPELESS if isinstance(error, HttpError) and str(error.code) == "401" else _WHEN_BUSY


def with_bounds(kind: type[Any], storage_options: Mapping[str, Any]) -> dict[str, Any]:
    """What a file system is made with; for S3 with a bound, where neither the options nor botocore's configuration say one."""
    options = dict(storage_options)
    if kind.__module__.partition(".")[0] == "s3fs" and not _is_configured(options.get("profile")):
        retries = {"total_max_attempts": _S3_ATTEMPTS, "mode": "standard"}
        options["config_kwargs"] = {"retries": retries, **(options.get("config_kwargs") or {})}
    return options


def _is_configured(profile: str | None) -> bool:
    from botocore.exceptions import BotoCoreError
    from botocore.session import Session

    session = Session(profile=profile)
    try:
        attempts, mode = (session.get_config_variable(name) for name in ("max_attempts", "retry_mode"))
    except BotoCoreError:  # there is no such profile, or its file cannot be read: s3fs says so
        return True
    return attempts is not None or mode not in (None, "legacy")
