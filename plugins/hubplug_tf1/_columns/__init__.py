"""Modules as feature columns: what ``input_layer`` and ``DenseFeatures`` get, and which modules can be one.

What is wrong with a signature is found before any graph is.
"""
