"""Modules and SavedModels: what their files say of graph variants, signatures, variables and assets, whether all of it is there,
which op types there are, and how a small module is built and written.

The upper room, above ``protos`` and ``checkpoint``.
"""
