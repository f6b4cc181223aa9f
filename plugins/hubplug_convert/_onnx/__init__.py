"""The target ``onnx``: each signature a file that onnxruntime runs without TensorFlow, and a description of them all."""
