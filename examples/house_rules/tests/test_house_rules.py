"""The company's rules, on tiny modules."""

from __future__ import annotations

import pytest
from house_rules import HouseRules

from hubplug.errors import ValidationError
from hubplug.testing import Reply, ValidateContract, archive_of
from hubplug_format import ModuleBuilder, write_module


@pytest.fixture
def bad_module(tmp_path):
    """A module that takes one example, in float64."""
    builder = ModuleBuilder()
    x = builder.placeholder("x", "float64", [3])
    builder.signature(inputs={"x": x}, outputs={"default": x})
    write_module(tmp_path / "bad", builder)
    return tmp_path / "bad"


class TestHouseRules(ValidateContract):
    @pytest.fixture
    def plugin(self):
        return HouseRules()

    @pytest.fixture
    def profile(self):
        return "house"

    @pytest.fixture
    def good_spec(self, make_hub, tiny_module):
        return make_hub().load_spec(str(tiny_module))

    @pytest.fixture
    def bad_spec(self, make_hub, bad_module):
        return make_hub().load_spec(str(bad_module))


def test_every_broken_rule_is_found(make_hub, bad_module):
    found = make_hub(HouseRules()).validate(str(bad_module), ["house"])
    assert [(finding.rule, finding.where) for finding in found] == [
        ("house/batch", "x"),
        ("house/float64", "x"),
        ("house/float64", "default"),
    ]


def test_a_rule_can_be_switched_off(make_hub, bad_module):
    found = make_hub(HouseRules(allow_float64=True)).validate(str(bad_module), ["house"])
    assert [finding.rule for finding in found] == ["house/batch"]


def test_a_module_of_the_companys_server_that_breaks_a_rule_is_not_loaded(make_hub, server, bad_module, tiny_archive):
    server.on("/m/bad", Reply(body=archive_of(bad_module)))
    server.on("/m/good", Reply(body=tiny_archive))
    hub = make_hub(HouseRules(), validate={server.url("/m/"): ["house"]})
    assert hub.load_spec(server.url("/m/good"))
    with pytest.raises(ValidationError, match="house/batch"):
        hub.load_spec(server.url("/m/bad"))
