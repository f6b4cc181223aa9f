"""The contracts of ``hubplug_load_format``, ``hubplug_validate`` and ``hubplug_export``."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from hubplug.chain import Chain
from hubplug.errors import HubplugError, UnknownTagsError
from hubplug.settings.members import Member
from hubplug.spec import ExportRequest, ModuleSpec
from hubplug.testing._contract import PluginContract, missing
from hubplug.testing._watching import watching
from hubplug.types import Finding, Handle, LocalModule


class LoadFormatContract(PluginContract):
    """Reads a format. Define the fixtures ``plugin`` and ``directory``."""

    hook = "hubplug_load_format"

    @pytest.fixture
    def directory(self) -> Path:
        """A module of the plugin's format."""
        path: Path = missing("directory")
        return path

    def spec(self, plugin: object, directory: Path) -> ModuleSpec:
        """The definition of the module in a directory."""
        spec: ModuleSpec = self.value(plugin, LocalModule(directory, Handle.parse(str(directory))))
        return spec

    def test_it_reads_the_definition(self, plugin: object, directory: Path) -> None:
        spec = self.spec(plugin, directory)
        assert spec.get_tags()
        for tags in spec.get_tags():
            assert isinstance(spec.signatures(tags), Mapping)
            assert sorted(spec.get_signature_names(tags)) == sorted(spec.signatures(tags))
        json.dumps(spec.describe())

    def test_it_needs_no_tensorflow(self, plugin: object, directory: Path) -> None:
        before = "tensorflow" in sys.modules
        self.test_it_reads_the_definition(plugin, directory)
        assert ("tensorflow" in sys.modules) == before, "reading the definition imported TensorFlow"

    def test_it_declines_what_it_does_not_know(self, plugin: object, own_dir: Path) -> None:
        (own_dir / "empty").mkdir()
        (own_dir / "other").mkdir()
        (own_dir / "other" / "readme.txt").write_text("no module")
        for name in ("empty", "other"):
            module = LocalModule(own_dir / name, Handle.parse(str(own_dir / name)))
            try:
                answer = self.ask(plugin, module)
            except HubplugError:  # the last of a chain may say what the directory is instead
                continue
            assert answer.member is None

    def test_a_graph_variant_that_is_not_there_is_an_error(self, plugin: object, directory: Path) -> None:
        with pytest.raises(UnknownTagsError):
            self.spec(plugin, directory).signatures({"no", "such", "tags"})


class ValidateContract(PluginContract):
    """Checks modules. Define the fixtures ``plugin``, ``profile``, ``good_spec`` and ``bad_spec``."""

    hook = "hubplug_validate"

    @pytest.fixture
    def profile(self) -> str:
        """A profile that the plugin knows."""
        name: str = missing("profile")
        return name

    @pytest.fixture
    def good_spec(self) -> ModuleSpec:
        """A module that keeps it."""
        spec: ModuleSpec = missing("good_spec")
        return spec

    @pytest.fixture
    def bad_spec(self) -> ModuleSpec:
        """A module that does not."""
        spec: ModuleSpec = missing("bad_spec")
        return spec

    def findings(self, plugin: object, spec: ModuleSpec, profile: str) -> list[Finding] | None:
        """What the plugin alone finds; None: it does not know the profile. Validating must do nothing."""
        with watching() as deeds:
            _, found = Chain([Member("plugin", plugin)]).findings(spec, profile)
        assert deeds == [], f"validation reads, and does nothing; but it did: {deeds}"
        return found

    def test_it_declines_a_profile_that_it_does_not_know(self, plugin: object, good_spec: ModuleSpec) -> None:
        assert self.findings(plugin, good_spec, "a-profile-that-nobody-knows") is None

    def test_a_good_module_has_no_errors(self, plugin: object, good_spec: ModuleSpec, profile: str) -> None:
        found = self.findings(plugin, good_spec, profile)
        assert found is not None, "answer [] for a good module: None means that the profile is not known"
        assert [finding for finding in found if finding.level == "error"] == []

    def test_a_bad_module_has_errors_and_raises_nothing(
        self, plugin: object, bad_spec: ModuleSpec, profile: str
    ) -> None:
        found = self.findings(plugin, bad_spec, profile)
        assert any(finding.level == "error" for finding in found or ())

    def test_a_finding_names_its_rule_and_says_something(
        self, plugin: object, bad_spec: ModuleSpec, profile: str
    ) -> None:
        for finding in self.findings(plugin, bad_spec, profile) or ():
            assert finding.rule.partition("/")[0]
            assert finding.rule.partition("/")[2], f"a rule's id is profile/what, not {finding.rule!r}"
            assert finding.level in ("error", "warning", "note")
            assert finding.message
            assert "\n" not in finding.message

    def test_it_finds_the_same_every_time(self, plugin: object, bad_spec: ModuleSpec, profile: str) -> None:
        assert self.findings(plugin, bad_spec, profile) == self.findings(plugin, bad_spec, profile)


class ExportContract(PluginContract):
    """Writes modules. Define the fixtures ``plugin`` and ``request_to_export``."""

    hook = "hubplug_export"

    @pytest.fixture
    def request_to_export(self) -> ExportRequest:
        """A module that the plugin writes."""
        request: ExportRequest = missing("request_to_export")
        return request

    def test_it_declines_a_module_of_another_kind(self, plugin: object, own_dir: Path) -> None:
        assert self.ask(plugin, ExportRequest(ModuleSpec(), str(own_dir / "m"))).member is None

    def test_it_writes_into_the_staging_directory_and_nowhere_else(
        self, plugin: object, request_to_export: ExportRequest, own_dir: Path
    ) -> None:
        dest = own_dir / "staging"
        dest.mkdir()
        self.value(plugin, request_to_export).run(dest)
        assert any(dest.iterdir())
        assert [path.name for path in own_dir.iterdir()] == ["staging"]
        assert not Path(request_to_export.path).exists()
