"""Modules out of an Estimator: which Modules of a ``model_fn`` are exported, when, and into which directories.

The exports themselves are ``Module.export``'s.
"""
