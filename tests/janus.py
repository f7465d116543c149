"""A real Janus server (Debian's package) for tests, inside their network namespace."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import ClientSession

from tests.netns import MEDIA_ADDRESS

ROOM = 1234


def _folder(kind: str) -> Path:
    """Where Debian puts plugins and transports, on any machine."""
    return next(Path("/usr/lib").glob(f"*/janus/{kind}"))


def _setting(value: object) -> str:
    """A value as libconfig spells it."""
    return json.dumps(value)


def _section(name: str, values: Mapping[str, object]) -> str:
    return (
        f"{name}: {{\n" + "".join(f"  {key} = {_setting(value)}\n" for key, value in values.items()) + "}\n"
    )


class JanusServer:
    """One server with its configuration; may be stopped hard and started again."""

    def __init__(self, folder: Path, rooms: Mapping[str, Mapping[str, object]], token: str) -> None:
        self._folder = folder
        self._process: asyncio.subprocess.Process | None = None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self._configure(rooms, token)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def url(self, **query: object) -> str:
        """As `interpreter join` takes it."""
        return f"janus+ws://{self.host}/?" + "&".join(f"{key}={value}" for key, value in query.items())

    def _configure(self, rooms: Mapping[str, Mapping[str, object]], token: str) -> None:
        plugins, transports = _folder("plugins"), _folder("transports")
        unwanted = {
            "plugins": [one.name for one in plugins.glob("*.so") if "videoroom" not in one.name],
            "transports": [one.name for one in transports.glob("*.so") if "websockets" not in one.name],
        }
        general = {
            "configs_folder": str(self._folder),
            "plugins_folder": str(plugins),
            "transports_folder": str(transports),
            "debug_level": 4,
            **({"token_auth": True, "token_auth_secret": token} if token else {}),
        }
        disabled = [_section(kind, {"disable": ",".join(names)}) for kind, names in unwanted.items()]
        media = {"rtp_port_range": "21000-21400", "ipv6": False}
        self._write("janus.jcfg", _section("general", general), _section("media", media),
                    _section("nat", {"ice_enforce_list": MEDIA_ADDRESS}), *disabled)  # fmt: skip
        websockets = {"ws": True, "ws_port": self.port, "ws_ip": "127.0.0.1", "wss": False}
        self._write(
            "janus.transport.websockets.jcfg",
            _section("general", websockets),
            _section("admin", {"admin_ws": False}),
        )
        self._write(
            "janus.plugin.videoroom.jcfg",
            *(
                _section(f"room-{name}", {"publishers": 20, "audiocodec": "opus", "opus_fec": True, **room})
                for name, room in rooms.items()
            ),
        )

    def _write(self, name: str, *sections: str) -> None:
        (self._folder / name).write_text("".join(sections))

    async def start(self) -> None:
        """Returns when it answers."""
        janus = shutil.which("janus")
        assert janus is not None, "tests that need it are skipped"
        options = ["-F", str(self._folder), "-C", str(self._folder / "janus.jcfg"), "-o"]
        with (self._folder / "janus.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(janus, *options, stdout=log, stderr=log)
        async with asyncio.timeout(30), ClientSession() as http:
            while True:
                with contextlib.suppress(OSError):
                    async with http.ws_connect(f"ws://{self.host}/", protocols=("janus-protocol",)):
                        return
                await asyncio.sleep(0.1)

    async def kill(self) -> None:
        """As a crash does."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            await process.wait()

    def log(self) -> str:
        return (self._folder / "janus.log").read_text(errors="replace")


@asynccontextmanager
async def janus_server(
    folder: Path, rooms: Mapping[str, Mapping[str, object]] | None = None, *, token: str = ""
) -> AsyncIterator[JanusServer]:
    """A server that answers.

    Args:
        folder: of its own.
        rooms: id -> settings; by default `ROOM` with nothing special.
        token: asked of everybody who connects; nothing is without it.
    """
    server = JanusServer(folder, {str(ROOM): {"notify_joining": True}} if rooms is None else rooms, token)
    await server.start()
    try:
        yield server
    finally:
        await server.kill()
