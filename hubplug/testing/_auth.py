"""The contract of ``hubplug_auth``."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

import pytest

from hubplug.errors import HubplugError, PluginError
from hubplug.testing._contract import PluginContract, missing
from hubplug.testing._watching import watching
from hubplug.types import AuthRequest, Handle


class AuthContract(PluginContract):
    """Signs requests. Define the fixtures ``plugin``, ``url`` and, where there is one, ``secret``.

    Of a plugin that asks a service for what it signs with, ``unreachable_plugin``: one whose service is gone, for example at ``closed_port``.
    """

    hook = "hubplug_auth"

    @pytest.fixture
    def url(self) -> str:
        """A URL whose requests the plugin signs."""
        text: str = missing("url")
        return text

    @pytest.fixture
    def foreign_urls(self, url: str) -> Sequence[str]:
        """URLs that it must not sign: other hosts, and those that look alike."""
        parts = urlsplit(url)
        address = parts.netloc.rpartition("@")[2]
        host, _, port = address.partition(":")
        path = parts.path or "/"
        return [
            f"{parts.scheme}://elsewhere.example{path}",
            f"{parts.scheme}://{host}.elsewhere.example{':' + port if port else ''}{path}",
            f"{parts.scheme}://{address}@elsewhere.example{path}",
            f"{parts.scheme}://elsewhere.example\\@{address}{path}",
            f"{parts.scheme}://{host}:1{path}",
            f"{'http' if parts.scheme == 'https' else 'https'}://{address}{path}",
        ]

    @pytest.fixture
    def secret(self) -> str | None:
        """The secret that is put into requests, or None."""
        return None

    def request(self, url: str, redirected_from: str | None = None) -> AuthRequest:
        """A request on behalf of a handle."""
        return AuthRequest(url, Handle.parse("https://elsewhere.example/m/1"), redirected_from)

    def test_it_signs_its_requests(self, plugin: object, url: str) -> None:
        import requests

        sign = self.value(plugin, self.request(url))
        unsigned = requests.Request("GET", url).prepare()
        signed = sign(unsigned.copy())
        assert isinstance(signed, requests.PreparedRequest)
        assert (signed.headers, signed.url, signed.body, signed.hooks) != (
            unsigned.headers, unsigned.url, unsigned.body, unsigned.hooks,
        ), "the signed request is the same as the unsigned one"  # fmt: skip

    def test_it_declines_other_hosts(self, plugin: object, foreign_urls: Sequence[str]) -> None:
        for foreign in foreign_urls:
            assert self.ask(plugin, self.request(foreign)).member is None, foreign

    def test_a_credential_does_not_follow_a_redirect(
        self, plugin: object, url: str, foreign_urls: Sequence[str]
    ) -> None:
        for foreign in foreign_urls:
            assert self.ask(plugin, self.request(foreign, redirected_from=url)).member is None, foreign

    def test_a_token_service_that_is_gone_is_an_error_of_one_line(
        self, plugin: object, url: str, request: pytest.FixtureRequest
    ) -> None:
        import requests

        unsigned = requests.Request("GET", url).prepare()
        with watching() as deeds:
            self.value(plugin, self.request(url))(unsigned.copy())
        if not any(deed.kind == "network" for deed in deeds):
            return  # it asks nobody
        gone = request.getfixturevalue("unreachable_plugin")
        with pytest.raises(HubplugError) as raised:
            self.value(gone, self.request(url))(unsigned.copy())
        assert not isinstance(raised.value, PluginError), "a server that is gone is not the mistake of a plugin"
        assert raised.value.message
        assert "\n" not in raised.value.message

    def test_it_shows_no_secret(self, plugin: object, url: str, secret: str | None) -> None:
        if secret is None:
            pytest.skip("this plugin has no secret of its own")
        answer = self.ask(plugin, self.request(url))
        for shown in (plugin, answer, answer.value, getattr(answer.value, "hubplug_rule", "")):
            assert secret not in f"{shown!r} {shown}"
