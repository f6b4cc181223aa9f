"""``hubplug doctor``: one page for a support ticket, which says what is installed, in effect and wrong, and no secret."""
