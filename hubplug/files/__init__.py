"""Bytes on disk: which names members may have, how a tree is written, and how it comes to its place whole or not at all.

For the core and for every plugin; nothing here knows a format, a cache or a chain.
"""
