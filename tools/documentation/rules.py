"""The table of what validators report."""

from __future__ import annotations


def all_rules() -> str:
    """To come."""
    return ""
