"""An engine's process as its parent sees it: started, read from, ended, nothing left behind."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from duplex_model.link import Link

logger = logging.getLogger(__name__)

_LINE_BYTES = 8192
_READ_BYTES = 1 << 16
_POLL_S = 0.005


class ChildProcess:
    """One run of `python -m duplex_model.child`, from its start to `end`.

    It leads a session of its own, so that Ctrl-C reaches only the parent, and so that whatever it starts can be
    ended with it. Its stdin is empty; what it writes to stdout or stderr goes to our log line by line. It ends by
    itself when the socket does, that is also when this process is killed.
    """

    def __init__(self) -> None:
        """Starts the process.

        Raises:
            OSError: the system has no process, memory or descriptor left to give.
        """
        ours, theirs = socket.socketpair()
        try:
            self._process = subprocess.Popen(
                # -P: never import from the directory the interpreter happens to be started in
                [
                    sys.executable,
                    "-P",
                    "-X",
                    "faulthandler",
                    "-m",
                    "duplex_model.child",
                    str(theirs.fileno()),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                bufsize=0,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
                env=_environment(),
            )
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        assert self._process.stdout is not None
        self._log_fd = self._process.stdout.fileno()
        os.set_blocking(self._log_fd, False)
        self._line = b""
        self.link = Link(ours)

    @property
    def pid(self) -> int:
        """Process id, which is its session's id as well."""
        return self._process.pid

    @property
    def log_fd(self) -> int:
        """Where its stdout and stderr can be read."""
        return self._log_fd

    def read_log(self) -> bool:
        """Logs the lines that have come; False once there will be no more."""
        try:
            written = os.read(self._log_fd, _READ_BYTES)
        except BlockingIOError:
            return True
        *lines, self._line = (self._line + written).split(b"\n")
        if not written or len(self._line) > _LINE_BYTES:
            lines, self._line = [*lines, self._line], b""
        for line in lines:
            self._log_line(line[:_LINE_BYTES].decode("utf-8", "backslashreplace").rstrip())
        return bool(written)

    def end(self, patience_s: float) -> str:
        """Waits for the process to go, ends what is left of it, and says how it went.

        Args:
            patience_s: how long it may take to leave by itself; 0 to kill it at once.

        Returns:
            For people: its exit code or signal.
        """
        deadline_s = time.monotonic() + patience_s
        while self._running() and time.monotonic() < deadline_s:
            self.read_log()
            time.sleep(_POLL_S)
        # Its process id, and so its group's, is ours until `wait`: this can hit nobody else.
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):  # macOS: EPERM when only the zombie is left
            logger.debug("process %d has left nothing behind", self.pid)
        code = self._process.wait()
        self._drain_log()
        self.link.close()
        assert self._process.stdout is not None
        self._process.stdout.close()
        return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"

    def _running(self) -> bool:
        """Whether it has not exited, without collecting its exit code: see `end`."""
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None

    def _drain_log(self) -> None:
        """Its last words; bounded, since something else may have inherited the pipe."""
        for _ in range(64):
            if not self.read_log():
                return

    def _log_line(self, line: str) -> None:
        if not line:
            return
        word = line.partition(" ")[0]
        level = logging.getLevelNamesMapping().get(word, logging.WARNING)
        logger.log(level, "process %d: %s", self.pid, line)


def _environment() -> dict[str, str]:
    """Ours, with this package findable, and threads that wait without burning the cores the calls need."""
    root = str(Path(__file__).resolve().parent.parent)
    inherited = os.environ.get("PYTHONPATH")
    path = root if not inherited else os.pathsep.join((root, inherited))
    return {**os.environ, "PYTHONPATH": path, "OMP_WAIT_POLICY": "PASSIVE"}
