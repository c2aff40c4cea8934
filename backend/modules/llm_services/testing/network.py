"""A wall between tests and the network."""

import ipaddress
import socket
from typing import Any

import pytest


def block_network(patch: pytest.MonkeyPatch) -> None:
    """Let sockets connect to this machine only, and look up no other machine's name.

    The failure is pytest's own, no ``Exception``: code under test can't take it for an outage.
    """
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex
    look_up = socket.getaddrinfo

    def guarded_connect(sock: socket.socket, address: Any) -> None:
        _refuse_strangers(sock, address)
        connect(sock, address)

    def guarded_connect_ex(sock: socket.socket, address: Any) -> int:
        _refuse_strangers(sock, address)
        return connect_ex(sock, address)

    def guarded_look_up(host: Any, *args: Any, **kwargs: Any) -> Any:
        _refuse_names(host)
        return look_up(host, *args, **kwargs)

    patch.setattr(socket.socket, "connect", guarded_connect)
    patch.setattr(socket.socket, "connect_ex", guarded_connect_ex)
    patch.setattr(socket, "getaddrinfo", guarded_look_up)


def _refuse_strangers(sock: socket.socket, address: Any) -> None:
    if sock.family in {socket.AF_INET, socket.AF_INET6} and not _is_ours(address[0]):
        sock.close()  # those who open sockets close them after an OSError, which this is not
        _refuse(f"{address[0]}:{address[1]}")


def _refuse_names(host: Any) -> None:
    name = host.decode() if isinstance(host, bytes) else host
    if name is None or _is_ours(name) or _is_number(name):
        return
    if name.endswith(".invalid"):  # RFC 6761: such a name never resolves
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    _refuse(name)


def _is_ours(host: str) -> bool:
    return host in {"", "localhost"} or (
        _is_number(host) and ipaddress.ip_address(host).is_loopback
    )


def _is_number(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _refuse(where: str) -> None:
    pytest.fail(f"this test reaches for {where}: use a loopback server, or mark the test `live`")
