"""A small process that outlives the stand-in by a moment, to end its containers.

A process of another user gets no signal from its dying parent, because bubblewrap gave
up its capabilities. So the stand-in tells the guardian of each container over a pipe,
and when that pipe ends, however the stand-in ended, the guardian kills what is left.
"""

import os
import signal


class Guardian:
    def __init__(self):
        read_fd, self._fd = os.pipe()
        os.set_inheritable(self._fd, False)
        if os.fork() == 0:
            os.close(self._fd)
            _watch(read_fd)
        os.close(read_fd)

    def _tell(self, text):
        try:
            os.write(self._fd, text.encode())
        except OSError:
            pass

    def add(self, pid):
        self._tell(f"+{pid}\n")

    def remove(self, pid):
        self._tell(f"-{pid}\n")


def _watch(read_fd):
    """Never returns."""
    os.setsid()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    null = os.open(os.devnull, os.O_RDWR)
    for fd in range(3):
        os.dup2(null, fd)
    alive = {}
    with os.fdopen(read_fd) as lines:
        for line in lines:
            pid = int(line[1:])
            if line[0] == "+":
                try:
                    alive[pid] = os.pidfd_open(pid)
                except OSError:
                    continue
            elif pid in alive:
                os.close(alive.pop(pid))
    for pidfd in alive.values():
        try:
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        except OSError:
            continue
    os._exit(0)
