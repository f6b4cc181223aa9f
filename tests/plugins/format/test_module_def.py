"""``tfhub_module.pb``: which files are read, and what the others are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from hubplug.errors import FormatError
from hubplug_format import MODULE_DEF_BYTES, ModuleDef, read_module_def


def write(directory: Path, data: bytes) -> Path:
    (directory / "tfhub_module.pb").write_bytes(data)
    return directory


def test_the_two_bytes_of_format_3_are_read(tmp_path: Path) -> None:
    assert bytes.fromhex("0803") == MODULE_DEF_BYTES
    assert read_module_def(write(tmp_path, b"\x08\x03")) == ModuleDef(3, ())


def test_unknown_fields_are_ignored(tmp_path: Path) -> None:
    assert read_module_def(write(tmp_path, b"\x08\x03\x7a\x03abc")) == ModuleDef(3)


@pytest.mark.parametrize(("data", "number"), [(b"", 0), (b"\x08\x02", 2), (b"\x08\x04", 4), (b"\x12\x01x", 0)])
def test_another_format_is_named(tmp_path: Path, data: bytes, number: int) -> None:
    with pytest.raises(FormatError, match=f"^Unsupported module def format: {number} in .*tfhub_module.pb") as caught:
        read_module_def(write(tmp_path, data))
    assert isinstance(caught.value, ValueError)


def test_required_features_are_named(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"^Unsupported features: \['x', 'y'\]"):
        read_module_def(write(tmp_path, b"\x08\x03\x12\x01x\x12\x01y"))


def test_garbage_is_called_damaged(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"tfhub_module\.pb is damaged"):
        read_module_def(write(tmp_path, b"<html>not found</html>"))


def test_without_the_file_the_error_says_what_there_is(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"")
    (tmp_path / "variables").mkdir()
    with pytest.raises(FormatError, match=r"not in TF1 Hub format.*saved_model\.pb, variables/"):
        read_module_def(tmp_path)


def test_a_missing_directory_is_called_so(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="There is no directory"):
        read_module_def(tmp_path / "absent")


def test_a_directory_in_place_of_the_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tfhub_module.pb").mkdir()
    with pytest.raises(FormatError, match="not a regular file"):
        read_module_def(tmp_path)


def test_a_huge_file_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "tfhub_module.pb").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(FormatError, match="has 1099511627776 bytes"):
        read_module_def(tmp_path)
