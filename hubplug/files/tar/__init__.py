"""The tar format, read strictly and written always the same way; archives, caches and hosting share it.

Which layouts are understood and which members refused is decided here, in one pass and with the caps of ``Limits``.
"""
