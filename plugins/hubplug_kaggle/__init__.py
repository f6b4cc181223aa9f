"""Modules on Kaggle: ``kaggle://owner/model/framework/variation[/version]``, and old tfhub.dev handles, which live there now.

Kaggle's API says which version is the latest; the archive itself comes through the plugin ``http``. Here is decided how a handle
is read, which of the API's URLs stand for it, and with which of Kaggle's credentials they are asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar
from urllib.parse import urlsplit

from hubplug.errors import ConfigError
from hubplug.hookspecs import RunFetch, RunResolve, hookimpl
from hubplug.types import AuthRequest, Handle, Plan, Source
from hubplug.urls import find_url_error, normal_form, redact, scheme_of, under_prefix
from hubplug.web import Network
from hubplug_kaggle._address import Address

_TFHUB = "https://tfhub.dev/"


class Kaggle:
    """Takes ``kaggle://`` handles, knows where those of tfhub.dev are now, and signs requests to Kaggle's API.

    Credentials are those of Kaggle's own tools, in their order: ``KAGGLE_API_TOKEN`` or ``~/.kaggle/access_token``,
    ``KAGGLE_USERNAME`` with ``KAGGLE_KEY``, ``kaggle.json`` in ``KAGGLE_CONFIG_DIR`` or ``~/.kaggle``. Public models need none.
    """

    environment: ClassVar[Mapping[str, str]] = {"endpoint": "KAGGLE_API_ENDPOINT"}

    def __init__(self, *, endpoint: str = "https://www.kaggle.com", tfhub: str = _TFHUB) -> None:
        """Checks the options; opens nothing.

        Args:
            endpoint: The server of Kaggle, without ``/api``.
            tfhub: What is asked where a handle of ``https://tfhub.dev/`` is now that is not in the table; empty: such
                handles are left to other plugins.

        Raises:
            ConfigError: An option is not an http(s) URL.
        """
        for name, url in (("endpoint", endpoint), ("tfhub", tfhub)):
            if (url or name == "endpoint") and (scheme_of(url) not in ("http", "https") or find_url_error(url)):
                raise ConfigError(f"{name}: {redact(url)!r} is not an http(s) URL", hint="https://www.kaggle.com")
        self._endpoint = endpoint.rstrip("/")
        self._tfhub = tfhub.rstrip("/")

    def __repr__(self) -> str:
        return f"Kaggle({redact(self._endpoint)!r})"

    @hookimpl
    def hubplug_resolve(self, handle: Handle) -> Source | Plan[RunResolve] | None:
        if handle.scheme.lower() != "kaggle":
            return None
        address = Address.of_handle(handle)
        if address.version is not None:
            return Source(handle, f"{self._api(address)}/{address.version}/download")

        def run(auth_for: Network) -> Handle:
            from hubplug_kaggle._versions import latest_version

            version = latest_version(address, self._api(address), self._page(address), auth_for)
            return handle.instead(str(address.at(version)))

        return Plan(f"ask {redact(self._endpoint)} for the latest version of {address}", run, network=True)

    @hookimpl
    def hubplug_fetch(self, source: Source) -> Plan[RunFetch] | None:
        if not self._tfhub or not under_prefix(source.location, _TFHUB) or _wants_another_format(source.location):
            return None
        from hubplug_kaggle._tfhub import find_deletion, moved_to, place_in_table

        path = urlsplit(normal_form(source.location)).path.strip("/")
        if (deletion := find_deletion(path)) is not None:
            raise deletion
        known = place_in_table(path)

        def run(tree: object, auth_for: Network) -> Handle:
            return source.handle.instead(known or moved_to(path, self._tfhub, self._endpoint, auth_for))

        if known is not None:
            return Plan(f"bring {known}, where {source} has moved to", run)
        return Plan(f"ask {redact(self._tfhub)} where {source} is on Kaggle", run, network=True, lasting=True)

    @hookimpl
    def hubplug_auth(self, request: AuthRequest) -> Callable[[Any], Any] | None:
        if not under_prefix(request.url, f"{self._endpoint}/api/"):
            return None
        from hubplug_kaggle._credentials import find_signer

        address = Address.in_api(request.url)
        return find_signer(self._page(address) if address else self._endpoint)

    def _api(self, address: Address) -> str:
        return f"{self._endpoint}/api/v1/models/{address.path}"

    def _page(self, address: Address) -> str:
        return f"{redact(self._endpoint)}/models/{address.owner}/{address.model}"


def _wants_another_format(location: str) -> bool:
    """Whether a URL of tfhub.dev asks for a model of TensorFlow.js or Lite."""
    return any(name in urlsplit(location).query for name in ("tfjs-format", "lite-format"))
