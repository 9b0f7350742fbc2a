"""Where a request comes from, behind proxies that we trust and those we do not."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Network = IPv4Network | IPv6Network


class ClientAddress:
    """Finds the address of the client.

    Args:
        trusted: Networks of the proxies whose ``X-Forwarded-For`` is believed.
    """

    def __init__(self, trusted: Sequence[Network]) -> None:
        self._trusted = tuple(trusted)

    def of(self, peer: str, forwarded_for: str | None) -> str:
        """Walk from our side of the connection towards the client.

        Args:
            peer: The address at the other end of the socket.
            forwarded_for: The ``X-Forwarded-For`` header, if there is one: each proxy
                appends whom it heard from, so only what trusted ones wrote is believed.

        Returns:
            The first address that is not a trusted proxy.
        """
        if not forwarded_for or not self.is_trusted(peer):
            return peer
        nearest = peer
        for hop in reversed(forwarded_for.split(",")):
            address = _parse(hop.strip())
            if address is None:
                return nearest
            nearest = str(address)
            if not self.is_trusted(nearest):
                return nearest
        return nearest

    def is_trusted(self, peer: str) -> bool:
        """Tell whether what a peer says of its own client is believed.

        Args:
            peer: An address.

        Returns:
            Whether it lies in a trusted network.
        """
        if not self._trusted:
            return False
        address = _parse(peer)
        return address is not None and any(
            address in network for network in self._trusted
        )


def _parse(text: str) -> IPv4Address | IPv6Address | None:
    """Read an address; some proxies write ``1.2.3.4:5678`` or ``[::1]:5678``."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped if mapped is not None else address
