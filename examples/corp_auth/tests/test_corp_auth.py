"""The plugin on its own, and against a server that demands the token."""

from __future__ import annotations

import json

import pytest
from corp_auth import CorpAuth

from hubplug.errors import AccessError, FetchError
from hubplug.testing import AuthContract, Reply, ResolveContract

TOKEN = "canary-token"


@pytest.fixture
def corp(server):
    """The company's server: a token service, and a model that is only given to who has the token."""
    server.on("/token", Reply(body=json.dumps({"token": TOKEN}).encode()))
    return CorpAuth(server=server.url("/models/"), token_service=server.url("/token"))


@pytest.fixture
def model(server, tiny_archive):
    def guarded(request):
        if request.header("Authorization") != f"Bearer {TOKEN}":
            return Reply(401, b"sign on first")
        return Reply(body=tiny_archive)

    server.on("/models/team/model/3", guarded)


class TestResolving(ResolveContract):
    @pytest.fixture
    def plugin(self, corp):
        return corp

    @pytest.fixture
    def handles(self):
        return ["corp://team/model/3"]


class TestSigning(AuthContract):
    @pytest.fixture
    def plugin(self, corp):
        return corp

    @pytest.fixture
    def url(self, server):
        return server.url("/models/team/model/3")

    @pytest.fixture
    def secret(self):
        return TOKEN

    @pytest.fixture
    def unreachable_plugin(self, server, closed_port):
        return CorpAuth(server=server.url("/models/"), token_service=f"http://127.0.0.1:{closed_port}/token")


def test_a_model_is_brought_with_a_token(make_hub, corp, model, server):
    spec = make_hub(corp).load_spec("corp://team/model/3")
    assert list(spec.signatures()) == ["default"]
    assert [request.path for request in server.requests] == ["/token", "/models/team/model/3"]


def test_without_the_plugin_the_server_refuses(make_hub, model, server):
    with pytest.raises(AccessError, match="401"):
        make_hub().resolve(server.url("/models/team/model/3"))


def test_a_token_service_that_refuses_is_named(make_hub, corp, model, server):
    server.on("/token", Reply(403))
    with pytest.raises(AccessError, match=r"The token service .*/token answered 403"):
        make_hub(corp).resolve("corp://team/model/3")


@pytest.mark.parametrize("body", [b"<html>sign in</html>", b"{}", b"[]"])
def test_a_token_service_that_gives_no_token_is_named(body, make_hub, corp, model, server):
    server.on("/token", Reply(body=body))
    with pytest.raises(FetchError, match=r"The token service .*/token gave no token"):
        make_hub(corp).resolve("corp://team/model/3")
    assert [request.path for request in server.requests] == ["/token"]
