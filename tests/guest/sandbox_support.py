"""What the tests of the sandbox share: a service, a daemon and ways to look at processes."""

import os
import threading

SERVICE = "tests.guest.sandbox_service:Service"
LIMIT_S = 10.0

# A daemon by the book: two forks, a session of its own, deaf to polite signals. Its id goes to a file.
DAEMON = """
import signal, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        with open("daemon.tmp", "w") as file:
            file.write(str(os.getpid()))
        os.rename("daemon.tmp", "daemon")
        while True:
            time.sleep(60)
    os._exit(0)
while not os.path.exists("daemon"):
    time.sleep(0.01)
result = int(open("daemon").read())
"""


def run(child, code, *, timeout_s=LIMIT_S, stop=None, on_output=lambda stream, chunk: None):
    reply = child.call(
        "run",
        {"code": code},
        timeout_s=timeout_s,
        stop=stop or threading.Event(),
        on_output=on_output,
    )
    return reply["value"]


def exists(pid):
    """Is there such a process? One that is dead and not reaped counts as one."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


class Said:
    def __init__(self):
        self.chunks = []

    def __call__(self, stream, chunk):
        self.chunks.append((stream, chunk))

    def text(self, stream):
        return b"".join(chunk for name, chunk in self.chunks if name == stream).decode()
