"""A network namespace of the tests' own, so that nothing they send can touch another network.

`enter()` moves the calling process, and every child it starts later, into a new namespace that holds the loopback
device and one veth pair. The veth address is there because aioice and Janus never gather 127.0.0.1.

    python -m tests.netns COMMAND ...     runs a command in such a namespace

Works as root, and without root where the kernel lets users make user namespaces.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys

MEDIA_ADDRESS = "10.99.0.1"
"""The one address, besides loopback, of a namespace made by `enter`."""

_CLONE_NEWUSER = 0x1000_0000  # sched.h
_CLONE_NEWNET = 0x4000_0000
_MARK = "INTERPRETER_TESTS_NETNS"

_VETH = ("tv0", "tv1")
_CREATE = ("ip link set lo up", "ip link add tv0 type veth peer name tv1")
_RAISE = (f"ip addr add {MEDIA_ADDRESS}/24 dev tv0", "ip link set tv0 up", "ip link set tv1 up")


class NamespaceUnavailable(Exception):
    """This machine does not let us make a network namespace; the message says why and what would help."""


def enter() -> None:
    """Moves this process into a namespace of its own; does nothing when it is in one already.

    Must run before the process starts threads: without root a user namespace is needed, and the kernel gives one
    to single-threaded processes only.
    """
    if entered():
        return
    if shutil.which("ip") is None:
        raise NamespaceUnavailable("the `ip` command is missing: apt-get install iproute2")
    _rehearse()
    _set_up()
    os.environ[_MARK] = _namespace_id()


def entered() -> bool:
    """Whether this process is in a namespace made by `enter`."""
    return os.environ.get(_MARK) == _namespace_id()


def _namespace_id() -> str:
    return os.readlink("/proc/self/ns/net")


def _rehearse() -> None:
    """Lets a child try first: a set-up that fails half-way would leave this process with no network at all.

    Containers forbid some of the steps, and so do distributions that give users no rights in their own namespaces.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            _set_up()
            status = 0
        except (NamespaceUnavailable, OSError) as error:
            os.write(writing, str(error).encode())
        finally:
            os._exit(status)
    os.close(writing)
    with open(reading, "rb") as said:
        words = said.read().decode()
    if os.waitpid(child, 0)[1]:
        raise NamespaceUnavailable(words or "setting up a network namespace failed")


def _set_up() -> None:
    _unshare()
    _run(_CREATE)
    for device in _VETH:
        # A link-local address stays tentative for a second, during which sockets cannot be bound to it.
        setting = f"/proc/sys/net/ipv6/conf/{device}/disable_ipv6"
        if os.path.exists(setting):  # not so in a kernel without IPv6
            _write(setting, "1")
    _run(_RAISE)


def _unshare() -> None:
    uid, gid = os.geteuid(), os.getegid()
    flags = _CLONE_NEWNET if uid == 0 else _CLONE_NEWNET | _CLONE_NEWUSER
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(flags):
        reason = os.strerror(ctypes.get_errno())
        raise NamespaceUnavailable(f"unshare failed ({reason}): run as root, or allow user namespaces")
    if uid != 0:
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"0 {uid} 1")
        _write("/proc/self/gid_map", f"0 {gid} 1")


def _run(commands: tuple[str, ...]) -> None:
    for command in commands:
        result = subprocess.run(command.split(), capture_output=True, text=True)
        if result.returncode:
            raise NamespaceUnavailable(f"`{command}` failed: {result.stderr.strip()}")


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(f"usage: {sys.argv[0]} COMMAND ...")
    try:
        enter()
    except NamespaceUnavailable as error:
        sys.exit(f"{sys.argv[0]}: {error}")
    os.execvp(sys.argv[1], sys.argv[1:])
