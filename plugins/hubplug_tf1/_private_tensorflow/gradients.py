"""Which gradients a process has."""

from __future__ import annotations


def has_gradient(name: str) -> bool:
    """Whether the gradient of an op type, or one that was registered under a name, is known; True where no one can tell.

    Public TensorFlow only says so by failing while it builds a gradient.
    """
    try:
        from tensorflow.python.framework.ops import gradient_registry

        gradient_registry.lookup(name)
    except LookupError:
        return False
    except (ImportError, AttributeError):
        return True
    return True
