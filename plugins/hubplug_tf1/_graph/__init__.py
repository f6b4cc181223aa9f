"""A module's graph before it is in any other: what it has by which names, what its signatures say, which part some of it needs.

Questions on protos; no TensorFlow graph is touched.
"""
