from ipaddress import ip_network

import pytest

from llm_proxy.security import ClientAddress

TRUSTED = ClientAddress([ip_network("10.0.0.0/8"), ip_network("fd00::/8")])


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "client"),
    [
        ("10.0.0.1", "1.2.3.4", "1.2.3.4"),
        ("10.0.0.1", "6.6.6.6, 1.2.3.4", "1.2.3.4"),
        ("10.0.0.1", "1.2.3.4, 10.0.0.2", "1.2.3.4"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "1.2.3.4:5678", "1.2.3.4"),
        ("10.0.0.1", "[2001:db8::1]:443", "2001:db8::1"),
        ("10.0.0.1", "2001:db8::1", "2001:db8::1"),
        ("10.0.0.1", "::ffff:1.2.3.4", "1.2.3.4"),
        ("::ffff:10.0.0.1", "1.2.3.4", "1.2.3.4"),
        ("fd00::1", "1.2.3.4", "1.2.3.4"),
        ("10.0.0.1", "evil\r\n, 10.0.0.2", "10.0.0.2"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", None, "10.0.0.1"),
        ("1.2.3.4", "9.9.9.9", "1.2.3.4"),
        ("testclient", "9.9.9.9", "testclient"),
    ],
)
def test_only_what_trusted_proxies_wrote_is_believed(peer, forwarded_for, client):
    assert TRUSTED.of(peer, forwarded_for) == client


def test_without_trusted_proxies_the_peer_is_the_client():
    nobody = ClientAddress([])
    assert nobody.of("10.0.0.1", "1.2.3.4") == "10.0.0.1"
    assert not nobody.is_trusted("10.0.0.1")
