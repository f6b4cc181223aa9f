"""The normal form of a host's name or address."""

from __future__ import annotations

import re

from hubplug.urls.syntax import NUMBER, UNRESERVED

_LABEL = re.compile(r"[a-z0-9_-]{1,63}")
_LONGEST_HOST = 253


def normal_host(host: str) -> str:
    """The name or address of a host in its normal form, as it stands in a URL.

    Raises:
        ValueError: It has none.
    """
    if host.startswith("["):
        return _ipv6(host)
    if len(host) > _LONGEST_HOST + 1:
        raise ValueError("its host is too long")
    name = ascii_name(host).removesuffix(".")
    labels = name.split(".")
    if NUMBER.fullmatch(labels[-1]):
        import socket

        try:  # as getaddrinfo reads it: 2130706433, 0x7f.1 and 127.1 are 127.0.0.1
            return socket.inet_ntoa(socket.inet_aton(name))
        except OSError:
            raise ValueError("its host ends in a number and is not an IPv4 address") from None
    if not name:
        raise ValueError("it names no host")
    if len(name) > _LONGEST_HOST or not all(map(_LABEL.fullmatch, labels)):
        raise ValueError("its host is not a name that a host can have")
    return name


def ascii_name(host: str) -> str:
    if host.isascii():
        return host.lower()
    import idna

    try:  # as requests does it
        mapped = idna.uts46_remap(host, std3_rules=False, transitional=False)
        return ".".join(one if one.isascii() else idna.alabel(one).decode("ascii") for one in mapped.split(".")).lower()
    except UnicodeError:
        raise ValueError("its host is not an internationalized name (IDNA)") from None


def _ipv6(host: str) -> str:
    from ipaddress import IPv6Address

    address, percent, zone = host[1:-1].partition("%")
    zone = zone.removeprefix("25")
    try:
        number = IPv6Address(address)
    except ValueError:
        raise ValueError("its host is not an IPv6 address") from None
    if not host.endswith("]") or (percent and not zone) or not set(zone) <= UNRESERVED:
        raise ValueError("its host is not an IPv6 address")
    if number.ipv4_mapped is not None:
        return str(number.ipv4_mapped)
    return f"[{number.compressed}%25{zone}]" if zone else f"[{number.compressed}]"
