"""What holds for every plugin, whatever its hooks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hubplug.chain import Answer, Chain
from hubplug.settings.members import Member
from hubplug.settings.options import find_declaration_error, options_schema
from hubplug.testing._watching import watching

CANARY = "canary-of-the-contract"


def missing(name: str) -> Any:
    """Ends a test for which its class has not defined a fixture."""
    pytest.fail(f"define the fixture `{name}` in the class that inherits the contract", pytrace=False)


class PluginContract:
    """Base of the contracts. A class that inherits one defines the fixture ``plugin``."""

    hook = ""

    @pytest.fixture
    def plugin(self) -> object:
        """The plugin object."""
        return missing("plugin")

    @pytest.fixture
    def own_dir(self, tmp_path_factory: pytest.TempPathFactory) -> Path:
        """A directory of the contract's own: ``tmp_path`` is left to the author's fixtures."""
        return tmp_path_factory.mktemp("contract")

    def test_it_fits_into_a_chain(self, plugin: object) -> None:
        chain = Chain([Member("plugin", plugin)])
        assert self.hook in chain.hooks_of(chain.members[0])

    def test_its_options_can_be_written_in_a_file(self, plugin: object) -> None:
        json.dumps(options_schema(type(plugin)))

    def test_what_it_declares_of_its_options_is_about_options_that_it_has(self, plugin: object) -> None:
        assert find_declaration_error(type(plugin)) is None

    def ask(self, plugin: object, *arguments: Any) -> Answer:
        """Asks the plugin alone, as the core does: an answer of a wrong type is an error. Deciding must do nothing."""
        chain = Chain([Member("plugin", plugin)])
        with watching() as deeds:
            answer = chain.ask(self.hook, *arguments)
        assert deeds == [], f"{self.hook} decides, and only its plan acts; but it did: {deeds}"
        return answer

    def value(self, plugin: object, *arguments: Any) -> Any:
        """The answer, which must not be None."""
        answer = self.ask(plugin, *arguments)
        assert answer.member is not None, f"{self.hook} declined {arguments}: {answer.declined}"
        return answer.value


def assert_quiet(*shown: object) -> None:
    """No secret in what a person may see of these objects."""
    for one in shown:
        for text in (str(one), repr(one)):
            assert CANARY not in text, f"a secret is shown: {text}"
