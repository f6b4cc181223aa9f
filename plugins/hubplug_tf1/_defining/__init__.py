"""Where new definitions come from: a ``module_fn`` or a SavedModel; and what these may not have.

The outcome is a ``GraphSpec`` either way.
"""
