"""Where a message may be sent: never into a network by accident.

An address in the settings may name a host inside, by mistake or by somebody's wish. Unless the connection's option
says that its endpoints are in the plant's own network, only addresses of the public internet are spoken to. The name
is resolved once, every address it has is looked at, and the message goes to one that was looked at: a name that changes
its mind in between gains nothing.
"""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

from integrations.contract import Unavailable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def resolved(url: str, *, own_network: bool) -> tuple[str, ...]:
    """The IP addresses to send to, in order. Unavailable says why there is none: unknown, or not to be spoken to."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    if parts.scheme != "https" and not own_network:
        raise Unavailable(
            f"{host} is not spoken to without TLS: write https, or set the option own_network if it is in the plant's "
            "own network. Nothing was sent."
        )
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Unavailable(f"{host} is not known here ({type(error).__name__}). Nothing was sent.") from None
    addresses = [ipaddress.ip_address(str(one[4][0]).partition("%")[0]) for one in found]
    if not own_network and (inside := [one for one in addresses if not is_public(one)]):
        raise Unavailable(
            f"{host} is {inside[0]}, an address that is not of the public internet. If it is in the plant's own "
            "network, set the option own_network. Nothing was sent."
        )
    return tuple(dict.fromkeys(map(str, addresses)))


def is_public(address: Address) -> bool:
    """Whether this is an address of the public internet, also by what is carried inside an IPv6 address."""
    if isinstance(address, ipaddress.IPv6Address):
        inner: list[Address | None] = [address.ipv4_mapped, address.sixtofour]
        if address.teredo is not None:
            inner += address.teredo
        if address in NAT64:
            inner.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        if not all(is_public(one) for one in inner if one is not None):
            return False
        if address.ipv4_mapped is not None:
            return True
    return address.is_global and not address.is_multicast
