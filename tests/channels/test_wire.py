"""Where an exchange may go: the address that is connected to decides, whatever the name says."""

from __future__ import annotations

import ipaddress
import socket
from typing import Any
from urllib.error import URLError
from urllib.request import Request

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertd.channels.http import Answer, exchange
from alertd.channels.wire import NotAdmitted, Wire, inside
from alertd.clock import MINUTE, SECOND
from tests.channels.hooks import hook

INSIDE = [
    *("0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.100.100.200", "100.127.255.255"),
    *("127.0.0.1", "127.1.2.3", "169.254.169.254", "169.254.170.2", "172.16.0.1", "172.31.255.255", "192.0.0.192"),
    *("192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.19.255.255", "198.51.100.7", "203.0.113.9"),
    *("224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "168.63.129.16"),
    *("::", "::1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe"),
    *("64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1", "2002:7f00:1::", "3fff::1", "fc00::1", "fd00:ec2::254"),
    *("fe80::1", "fe80::1%lo", "fec0::1", "ff02::1", "5f00::1", "nonsense", ""),
]
OUTSIDE = [
    *("1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.1", "172.15.255.255", "172.32.0.1", "192.167.255.255"),
    *("9.255.255.255", "11.0.0.1", "126.255.255.255", "128.0.0.1", "198.17.255.255", "198.20.0.1", "223.255.255.255"),
    *("2001:4860:4860::8888", "2606:4700::1111", "2a00:1450::1", "64:ff9b::808:808"),
]


@pytest.mark.parametrize("address", INSIDE)
def test_addresses_of_networks_machines_and_nobody_are_inside(address: str) -> None:
    assert inside(address)


@pytest.mark.parametrize("address", OUTSIDE)
def test_addresses_of_the_internet_are_outside(address: str) -> None:
    assert not inside(address)


@given(st.ip_addresses(v=4))
def test_what_python_knows_to_be_private_is_inside_and_so_is_whatever_carries_it(address: ipaddress.IPv4Address) -> None:
    if not address.is_global or address.is_multicast:
        assert inside(str(address))
    assert inside(f"::ffff:{address}")
    assert inside(f"64:ff9b::{address}") == inside(str(address))


@given(st.ip_addresses(v=6))
def test_of_ipv6_only_what_is_given_out_is_outside(address: ipaddress.IPv6Address) -> None:
    if not inside(str(address)):
        assert address.is_global
        assert not any((address.is_multicast, address.is_link_local, address.is_site_local, address.ipv4_mapped))


class NameServer:
    """Answers with these addresses, one answer after the other."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers, self.asked = list(answers), 0

    def __call__(self, _host: str, port: int, *_: object) -> list[Any]:
        self.asked += 1
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in self.answers.pop(0)]


def away(address: str) -> bool:
    return not inside(address)


def test_one_address_inside_among_those_of_a_name_is_enough_to_go_nowhere() -> None:
    for order in (["127.0.0.1", "192.0.2.1"], ["8.8.8.8", "127.0.0.1"]):
        names = NameServer(order)
        with Wire(5 * SECOND, SECOND, admit=away, resolve=names) as wire, pytest.raises(NotAdmitted):
            wire.connect(("hooks.example.com", 1))
        assert not wire.open


def test_the_address_that_was_checked_is_the_one_that_is_connected_to() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        names = NameServer(["127.0.0.1"], ["8.8.8.8"])  # another answer the second time
        with Wire(5 * SECOND, SECOND, admit=inside, resolve=names) as wire:
            connection = wire.connect(("hooks.example.com", server.getsockname()[1]))
            assert connection.getpeername() == server.getsockname()
            connection.close()
        assert names.asked == 1


def test_a_name_without_addresses_is_not_a_way_in() -> None:
    with Wire(SECOND, SECOND, admit=away, resolve=NameServer([])) as wire, pytest.raises(OSError, match="no address"):
        wire.connect(("hooks.example.com", 1))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "017700000001", "0", "127.1", "[::1]"])
def test_no_way_to_write_this_machine_gets_past_the_check(host: str) -> None:
    with hook() as server:
        port = server.url.rpartition(":")[2]
        with pytest.raises(URLError) as caught:
            exchange(Request(f"http://{host}:{port}"), None, 5 * SECOND, admit=away)
        # A resolver may also refuse the older ways of writing it.
        assert isinstance(caught.value.reason, NotAdmitted | socket.gaierror)
        assert server.posts == []


def test_without_a_check_it_goes_wherever_the_name_leads() -> None:
    with hook() as server:
        assert exchange(Request(server.url, b"x"), None, 5 * SECOND).status == 200


def answer(headers: dict[str, str], status: int = 429) -> Answer:
    with hook() as server:
        server.answer(status, **headers)
        return exchange(Request(server.url, b"x"), None, 5 * SECOND)


DATE = "Mon, 02 Nov 2026 09:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"Retry_After": "30"}, 30 * SECOND),
        ({"Retry_After": "0"}, SECOND),
        ({"Retry_After": "999999999"}, 15 * MINUTE),
        ({"Retry_After": "9" * 4_000}, None),
        ({"Retry_After": "-5"}, None),
        ({"Retry_After": "nan"}, None),
        ({"Retry_After": "Mon, 02 Nov 2026 09:02:00 GMT", "Date": DATE}, 2 * MINUTE),
        ({"Retry_After": "Mon, 02 Nov 2026 08:00:00 GMT", "Date": DATE}, SECOND),
        ({"Retry_After": "Mon, 02 Nov 2099 08:00:00 GMT", "Date": DATE}, 15 * MINUTE),
        ({"Retry_After": "Mon, 02 Nov 2026 09:02:00 GMT"}, None),
        ({"Retry_After": "Mon, 02 Nov 2026 09:02:00 -0000", "Date": DATE}, None),
        ({}, None),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_within_reason(headers: dict[str, str], wait: int | None) -> None:
    assert answer(headers).wait == wait


@pytest.mark.parametrize(
    ("location", "host"),
    [
        ("https://other.example.com/hooks/canary4242", "other.example.com"),
        ("/hooks/canary4242", ""),
        ("https://[", ""),
        ("https://user:canary@other.example.com/", "other.example.com"),
        ("https://\x01odd/", ""),
    ],
)
def test_of_a_redirect_only_the_host_is_named(location: str, host: str) -> None:
    assert answer({"Location": location}, 302).moved_to == host


def test_what_is_no_redirect_moves_nowhere() -> None:
    assert answer({"Location": "https://other.example.com/"}, 200).moved_to is None


def test_whether_anything_was_sent_can_be_told_from_the_exception() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(URLError):
        exchange(Request(f"http://127.0.0.1:{port}/", b"x"), None, 5 * SECOND)
    with hook() as server:
        server.answer(0)
        with pytest.raises(ConnectionError):
            exchange(Request(server.url, b"x"), None, 5 * SECOND)


def test_a_deadline_before_the_connection_stands_leaves_no_doubt() -> None:
    """A server that takes the connection and never begins TLS."""
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(URLError) as caught:
        exchange(Request(f"https://127.0.0.1:{silent.getsockname()[1]}/", b"x"), None, SECOND // 5)
    assert isinstance(caught.value.reason, TimeoutError)
