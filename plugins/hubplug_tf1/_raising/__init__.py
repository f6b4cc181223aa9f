"""How a graph of TensorFlow 1 is written so that functions of TensorFlow 2 run it, with gradients: state in references
becomes resources, loops and conditions of Enter, Switch and Merge become ``tf.while_loop`` and ``tf.cond``, and arrays
of tensors become lists. Decided from the graph's structure alone, since collections may be missing, or wrong.
"""
