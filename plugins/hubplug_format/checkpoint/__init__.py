"""V2 checkpoints: how the index is laid out, which entries are believed, whether parts make up a whole, where the bytes of a
tensor are, what they mean, and how both files are written.

Above ``protos``; it knows nothing of graphs or of module directories.
"""
