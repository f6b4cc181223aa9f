"""Modules under eager execution and in ``tf.function``: state in TensorFlow 2's objects, and a concrete function per signature.

What a signature needs, how inputs are fed and what is refused is found by the rooms for graphs.
"""
