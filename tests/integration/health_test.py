"""The port of the probes under attack: a kubelet that gets no answer three times in a row restarts the controller."""

import http.client
import socket
import threading
import time

import pytest

from tests.integration.harness.declare import standin_only


class Crowd(threading.Thread):
    """Holds connections open without a word, and opens those anew that were closed."""

    def __init__(self, port: int, size: int = 300) -> None:
        super().__init__(daemon=True)
        self.port, self.size = port, size
        self.connects = 0
        self._end = threading.Event()

    def run(self) -> None:
        held: list[socket.socket] = []
        while not self._end.is_set():
            held = [one for one in held if self._is_open(one)]
            while len(held) < self.size and not self._end.is_set():
                try:
                    one = socket.create_connection(("127.0.0.1", self.port), timeout=1)
                except OSError:
                    continue
                one.setblocking(False)
                held.append(one)
                self.connects += 1
        for one in held:
            one.close()

    @staticmethod
    def _is_open(one: socket.socket) -> bool:
        try:
            is_open = one.recv(1) != b""
        except BlockingIOError:
            return True
        except OSError:
            is_open = False
        if not is_open:
            one.close()
        return is_open

    def stop(self) -> None:
        self._end.set()
        self.join(10)


def probe(port: int) -> int:
    """As a kubelet does it, which waits for a second."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.fixture
def port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@standin_only("the attack is the same wherever the pods run")
def test_all_probes_pass_while_silent_visitors_fill_the_port(make_site, port):
    site = make_site(globals_={"listen_address": f"127.0.0.1:{port}"})
    site.controller.wait_log("listening")
    crowd = Crowd(port)
    crowd.start()
    try:
        time.sleep(1)
        answers = []
        for _ in range(8):
            answers.append(probe(port))
            time.sleep(0.3)
        assert answers == [200] * 8
        assert crowd.connects >= crowd.size
    finally:
        crowd.stop()
