"""What programs use of tensorflow_hub's submodules about resolving; none of it needs TensorFlow."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

import hubplug


@pytest.mark.parametrize("variable", [None, ""])
def test_the_cache_directory_is_the_default_where_the_variable_names_none(
    monkeypatch: pytest.MonkeyPatch, variable: str | None
) -> None:
    monkeypatch.delenv("TFHUB_CACHE_DIR", raising=False)
    if variable is not None:
        monkeypatch.setenv("TFHUB_CACHE_DIR", variable)
    assert hubplug.resolver.tfhub_cache_dir() is None
    assert hubplug.resolver.tfhub_cache_dir("/default") == "/default"
    assert hubplug.resolver.tfhub_cache_dir("/default", True) == "/default"
    assert hubplug.resolver.tfhub_cache_dir(use_temp=True) == str(Path(tempfile.gettempdir()) / "tfhub_modules")


def test_the_cache_directory_is_the_one_that_the_variable_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFHUB_CACHE_DIR", "/named")
    assert hubplug.resolver.tfhub_cache_dir("/default", use_temp=True) == "/named"


def test_a_resolver_answers_both_questions() -> None:
    class Half(hubplug.resolver.Resolver):  # type: ignore[misc]
        def is_supported(self, handle: str) -> bool:
            return True

    with pytest.raises(TypeError, match="__call__"):
        Half()


def test_a_resolver_of_that_base_is_one_for_a_hub(tmp_path: Path) -> None:
    class Corporate(hubplug.resolver.Resolver):  # type: ignore[misc]
        def is_supported(self, handle: str) -> bool:
            return handle.startswith("corp:")

        def __call__(self, handle: str) -> str:
            return str(tmp_path)

    hub = hubplug.Hub({"chain": ["file"]}, plugins=[hubplug.OldResolver(Corporate())])
    assert hub.resolve("corp:model").path == tmp_path


def test_what_a_submodule_does_not_offer_is_an_attribute_error_that_says_so() -> None:
    with pytest.raises(AttributeError, match=r"'tensorflow_hub\.resolver' has no attribute 'atomic_download': hubplug"):
        hubplug.resolver.atomic_download  # noqa: B018
    with pytest.raises(AttributeError, match=r"'absolute_path': .* instead there is: tf\.io\.gfile"):
        hubplug.tf_utils.absolute_path  # noqa: B018
    with pytest.raises(AttributeError, match="'hubplug' has no attribute 'no_such_name'"):
        hubplug.no_such_name  # noqa: B018
