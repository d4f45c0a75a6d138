"""Promise 2: no network but the own loopback."""

import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress

import pytest

from torchnotes_kb.sandbox.model import Outcome, Run

Runs = Callable[..., Run]


def test_a_listener_on_the_hosts_loopback_is_out_of_reach(run: Runs) -> None:
    reached = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(5)
        port = server.getsockname()[1]
        attack = f"import socket\nwith socket.create_connection(('127.0.0.1', {port}), 2): pass\n"

        def accept() -> None:
            with suppress(OSError):
                server.accept()[0].close()
                reached.set()

        listening = threading.Thread(target=accept)
        listening.start()
        done = run(attack)
        assert done.outcome is Outcome.RAISED
        assert not reached.is_set()
        exec(attack, {})  # outside it succeeds  # noqa: S102 - the proof that the attack is one
        listening.join()
        assert reached.is_set()


def test_an_abstract_socket_of_the_host_is_out_of_reach(run: Runs) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(f"\0torchnotes-{os.getpid()}")
        server.listen()
        attack = (
            "import socket\nwith socket.socket(socket.AF_UNIX) as s:\n"
            f"    s.connect('\\0torchnotes-{os.getpid()}')\n"
        )
        assert run(attack).outcome is Outcome.RAISED
        exec(attack, {})  # noqa: S102 - outside it succeeds


def test_there_is_no_name_to_resolve_and_no_route(run: Runs) -> None:
    assert run("import socket; socket.getaddrinfo('example.com', 80)").outcome is Outcome.RAISED
    attack = "import socket; socket.create_connection(('192.0.2.1', 80), 1)"
    assert run(attack).outcome is Outcome.RAISED


def test_the_own_loopback_works(run: Runs) -> None:
    code = (
        "import socket\ns = socket.create_server(('127.0.0.1', 0))\n"
        "c = socket.create_connection(s.getsockname())\nc.send(b'x')\n"
        "print(s.accept()[0].recv(1))"
    )
    assert run(code).stdout == "b'x'\n"


@pytest.mark.parametrize("protocol", [1, 132, 262])  # ICMP, SCTP, MPTCP
def test_the_loopback_speaks_tcp_and_udp_alone(run: Runs, protocol: int) -> None:
    done = run(f"import socket\nsocket.socket(socket.AF_INET, socket.SOCK_STREAM, {protocol})")
    assert done.exception is not None
    assert done.exception.message == "[Errno 1] Operation not permitted"
