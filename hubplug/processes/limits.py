"""What a child process may use."""

from __future__ import annotations


def limit(limits: dict[str, int]) -> None:
    """Limits this process: ``RLIMIT_CPU`` (seconds), ``RLIMIT_FSIZE`` (bytes of a file), ... -> the most; lower ones stay."""
    try:
        import resource
    except ImportError:  # Windows: the timeout of the parent is all there is.
        return
    for name, wanted in {**limits, "RLIMIT_CORE": 0}.items():
        kind = getattr(resource, name, None)
        if kind is not None:
            soft, hard = resource.getrlimit(kind)
            finite = [each for each in (soft, hard) if each != resource.RLIM_INFINITY]
            resource.setrlimit(kind, (min([wanted, *finite]), hard))
