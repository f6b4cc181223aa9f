"""Protocol buffers of our own, and what goes into them: which fields a message has, how bytes are told apart before they
are parsed, how dtypes, attributes and values are written, and how much of a file is read at the most.

The lowest layer: it knows nothing of a module's files or of checkpoints.
"""
