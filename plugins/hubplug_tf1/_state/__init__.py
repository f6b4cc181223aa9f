"""The state of a module in a graph: which ops hold it, and how variables start from the checkpoint.

Applications build on it and are unknown to it.
"""
