import os
import socket
import subprocess
import sys

import pytest

from tests import netns

pytestmark = pytest.mark.media


def test_the_tests_have_only_loopback_and_the_media_address() -> None:
    shown = subprocess.run(["ip", "-o", "-4", "addr"], capture_output=True, text=True, check=True).stdout
    addresses = {line.split()[3].split("/")[0] for line in shown.splitlines()}
    assert addresses == {"127.0.0.1", netns.MEDIA_ADDRESS}


def test_nothing_outside_can_be_reached() -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe,
        pytest.raises(OSError, match="unreachable"),
    ):
        probe.connect(("192.0.2.1", 9))  # TEST-NET-1, RFC 5737: belongs to nobody


def test_entering_twice_stays_in_the_same_namespace() -> None:
    before = netns._namespace_id()
    netns.enter()
    assert netns._namespace_id() == before


def test_children_inherit_the_namespace() -> None:
    code = "from tests import netns; netns.enter(); print(netns._namespace_id())"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == netns._namespace_id()


def test_what_cannot_be_set_up_leaves_the_process_where_it_is() -> None:
    code = """
from tests import netns
netns._CREATE = (*netns._CREATE, "ip link set nowhere up")
before = netns._namespace_id()
try:
    netns.enter()
except netns.NamespaceUnavailable as error:
    print(error, netns._namespace_id() == before, netns.entered())
"""
    environment = {name: value for name, value in os.environ.items() if name != netns._MARK}
    shown = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    ).stdout
    assert shown.startswith("`ip link set nowhere up` failed: Cannot find device")
    assert shown.endswith("True False\n")
