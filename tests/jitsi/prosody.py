"""A real Prosody for one test: configured in a temporary folder, on free loopback ports, gone afterwards."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

DOMAIN = "meet.test"
MUC_DOMAIN = "muc.meet.test"
LOBBY_DOMAIN = "lobby.meet.test"
AUTH_DOMAIN = "auth.meet.test"
FOCUS_DOMAIN = "focus.meet.test"
MODERATION_DOMAIN = "avmoderation.meet.test"
COMPONENT_SECRET = "component-secret-of-the-tests"

_START_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 20.0
_UNTIL_WE_END = (
    "setpriv",
    "--pdeathsig",
    "TERM",
)  # util-linux: no server is left behind by a run that was killed

# What Jitsi's own module does for guests: the node is a UUID, and who names a stream in the URL's `previd` is the same
# guest again. Prosody's own guests are somebody else at every login, and so cannot resume anything.
_GUESTS = """
local new_sasl = require "util.sasl".new;
local uuid = require "util.uuid".generate;
local split_jid = require "util.jid".split;
local streams = module:shared("/*/smacks/resumption-tokens");

local function who_resumes(session)
    local request = session and session.websocket_request;
    local wanted = request and request.url.query and request.url.query:match("previd=([^&]+)");
    for name in pairs(wanted and streams or {}) do
        local node, host, token = split_jid(name);
        if host == module.host and token == wanted then return node; end
    end
end

local function handler(session)
    local made = new_sasl(module.host, { anonymous = function () return true; end });
    local process = made.process;
    function made:process(message)
        local status, reply, text = process(self, message);
        if status == "success" then
            local uuids = module:get_option_boolean("guests_are_uuids");
            self.username = who_resumes(session) or (uuids and uuid()) or self.username;
        end
        return status, reply, text;
    end
    made.clean_clone = function () return handler(session); end
    return made;
end

local function no() return nil, "guests only"; end
module:provides("auth", {
    test_password = no; get_password = no; set_password = no; create_user = no; user_exists = no;
    get_sasl_handler = handler;
});
"""


@dataclass(frozen=True, kw_only=True)
class ProsodyOptions:
    """What differs from a plain open server."""

    uuid_nodes: bool = False
    """Guests are called by a UUID, as on Jitsi's servers; else by Prosody's own opaque names."""

    guest_domain: str | None = None
    """Accounts are needed on the main domain, and guests log in to this one (`hosts.anonymousdomain`)."""

    stream_management: bool = True
    hibernation_s: int = 60
    """How long a connection that was cut can be resumed."""

    restrict_room_creation: bool = True
    """Only the focus makes rooms."""


@dataclass(frozen=True, kw_only=True)
class Prosody:
    """A running server."""

    http_port: int
    component_port: int
    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def websocket_url(self) -> str:
        """Its own endpoint; tests of the bot go through the gateway instead."""
        return f"ws://127.0.0.1:{self.http_port}/xmpp-websocket"

    async def register(self, user: str, domain: str, password: str) -> None:
        """Makes an account, at any time."""
        await _prosodyctl(self.folder, "register", user, domain, password)

    def log(self) -> str:
        """All it has logged."""
        return (self.folder / "prosody.log").read_text(errors="replace")


def require_prosody() -> None:
    """Skips the test, visibly, where Prosody is not installed."""
    if shutil.which("prosody") is None or shutil.which("prosodyctl") is None:
        pytest.skip("prosody is missing: run `sudo make system-packages`")


@asynccontextmanager
async def prosody(
    options: ProsodyOptions = ProsodyOptions(), *, accounts: tuple[tuple[str, str, str], ...] = ()
) -> AsyncIterator[Prosody]:
    """Starts one, with accounts (user, domain, password); stops it, and removes its folder, on the way out."""
    require_prosody()
    with tempfile.TemporaryDirectory(prefix="prosody-") as name:
        folder = Path(name)
        http_port, component_port = _free_ports(2)
        (folder / "data").mkdir()
        (folder / "plugins").mkdir()
        (folder / "plugins" / "mod_auth_guests.lua").write_text(_GUESTS)
        (folder / "prosody.cfg.lua").write_text(_configuration(folder, http_port, component_port, options))
        for user, domain, password in accounts:
            await _prosodyctl(folder, "register", user, domain, password)
        process = subprocess.Popen(  # noqa: ASYNC220 -- starting it does not block
            [*_UNTIL_WE_END, "prosody", "--config", str(folder / "prosody.cfg.lua"), "-F"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        running = Prosody(http_port=http_port, component_port=component_port, folder=folder, process=process)
        try:
            await _until_it_listens(running)
            yield running
        finally:
            await _stop(process)


def _configuration(folder: Path, http_port: int, component_port: int, options: ProsodyOptions) -> str:
    own_guests = "guests" if options.guest_domain is None else "internal_plain"
    smacks = '"smacks";' if options.stream_management else ""
    restricted = str(options.restrict_room_creation).lower()
    guest_host = (
        "" if options.guest_domain is None
        else f'VirtualHost "{options.guest_domain}"\n    authentication = "guests"\n'
    )  # fmt: skip
    return f"""
run_as_root = {str(os.geteuid() == 0).lower()}
pidfile = "{folder}/prosody.pid"
data_path = "{folder}/data"
plugin_paths = {{ "{folder}/plugins" }}
log = {{ {{ levels = {{ min = "debug" }}, to = "file", filename = "{folder}/prosody.log" }} }}
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{}}
c2s_direct_tls_ports = {{}}
http_interfaces = {{ "127.0.0.1" }}
http_ports = {{ {http_port} }}
https_ports = {{}}
component_interfaces = {{ "127.0.0.1" }}
component_ports = {{ {component_port} }}
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
consider_websocket_secure = true
http_default_host = "{DOMAIN}"
http_paths = {{ websocket = "/xmpp-websocket" }}
cross_domain_websocket = true
storage = "internal"
guests_are_uuids = {str(options.uuid_nodes).lower()}
smacks_hibernation_time = {options.hibernation_s}
modules_enabled = {{ "saslauth"; "disco"; "ping"; "http"; "websocket"; "posix"; {smacks} }}
modules_disabled = {{ "s2s"; "offline"; }}

VirtualHost "{DOMAIN}"
    authentication = "{own_guests}"
{guest_host}
VirtualHost "{AUTH_DOMAIN}"
    authentication = "internal_plain"

Component "{MUC_DOMAIN}" "muc"
    storage = "memory"
    restrict_room_creation = {restricted}
    admins = {{ "focus@{AUTH_DOMAIN}" }}
    muc_room_locking = false
    muc_room_default_public_jids = true
    muc_room_default_change_subject = true
    muc_tombstones = false

Component "{LOBBY_DOMAIN}" "muc"
    storage = "memory"
    restrict_room_creation = true
    admins = {{ "focus@{AUTH_DOMAIN}" }}
    muc_room_locking = false
    muc_room_default_public_jids = true
    muc_tombstones = false

Component "{FOCUS_DOMAIN}"
    component_secret = "{COMPONENT_SECRET}"

Component "{MODERATION_DOMAIN}"
    component_secret = "{COMPONENT_SECRET}"
"""


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


async def _prosodyctl(folder: Path, *arguments: str) -> None:
    process = await asyncio.create_subprocess_exec(
        "prosodyctl", "--config", str(folder / "prosody.cfg.lua"), *arguments,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"prosodyctl {arguments[0]} failed: {output.decode(errors='replace')}")


async def _until_it_listens(running: Prosody) -> None:
    async with asyncio.timeout(_START_TIMEOUT_S):
        for port in (running.http_port, running.component_port):
            while True:
                if running.process.poll() is not None:
                    raise RuntimeError(f"Prosody ended while starting:\n{running.log()}")
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    await asyncio.sleep(0.05)
                else:
                    writer.close()
                    break


async def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    os.killpg(process.pid, signal.SIGTERM)
    try:
        await asyncio.to_thread(process.wait, _STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        await asyncio.to_thread(process.wait)
