"""Writing: a module's directory with graphs, assets and the values of its variables.

The user's graph stays as it is, and ``tfhub_module.pb`` comes last.
"""
