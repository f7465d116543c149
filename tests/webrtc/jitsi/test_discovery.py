"""Meeting addresses taken apart, and config.js read without being run."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webrtc.errors import Refused, SignallingError
from webrtc.jitsi.config_script import MAX_SCRIPT_CHARACTERS, read_script
from webrtc.jitsi.discovery import (
    MeetingUrl,
    Overrides,
    Server,
    backend_name,
    parse_meeting_url,
    server_from_config,
)

URL = MeetingUrl(host="meet.example", room="clinic")
TENANT_URL = MeetingUrl(host="meet.example", room="clinic", tenant="st.mary")

DEBIAN = """
/* eslint-disable no-unused-vars, no-var */
var subdomain = '<!--# echo var="subdomain" default="" -->';
if (subdomain) {
    subdomain = subdomain.substr(0, subdomain.length - 1).split('.')
        .join('_').toLowerCase() + '.';
}
// In case of no ssi provided by the webserver, use empty strings
if (subdir.startsWith('<!--')) {
    subdir = '';
}
var config = {
    // Connection
    //
    hosts: {
        // XMPP domain.
        domain: 'meet.example',

        // When using authentication, domain for guest users.
        // anonymousdomain: 'guest.example.com',

        // Focus component domain. Defaults to focus.<domain>.
        // focus: 'focus.meet.example',

        // XMPP MUC domain. FIXME: use XEP-0030 to discover it.
        muc: 'conference.' + subdomain + 'meet.example',
    },
    bosh: '//meet.example/' + subdir + 'http-bind',
    websocket: 'wss://meet.example/' + subdir + 'xmpp-websocket',
    websocketKeepAliveUrl: 'https://meet.example/' + subdir + `_unlock`,
    testing: {
        // p2pTestMode: false,
        assumeBandwidth: true,
        debugAudioLevels() { return { a: 'websocket' }; },
        ...more,
    },
    enableNoAudioDetection: true,
    channelLastN: -1,
    toolbarButtons: [ 'camera', { hosts: { domain: 'wrong' } } ],
    p2p: { enabled: true, stunServers: [ { urls: 'stun:meet.example:3478' } ] },
    makeJsonParserHappy: 'even if last key had a trailing comma'
};
/* eslint-enable no-unused-vars, no-var */
"""
DOCKER = """
// Jitsi Meet configuration.
var config = {};
if (!config.hasOwnProperty('hosts')) config.hosts = {};
config.hosts = {};
config.hosts.domain = 'meet.jitsi';
config.focusUserJid = 'focus@auth.meet.jitsi';
var subdir = '<!--# echo var="subdir" default="" -->';
var subdomain = '<!--# echo var="subdomain" default="" -->';
if (subdomain) {
    subdomain = subdomain.substr(0,subdomain.length-1).split('.').join('_').toLowerCase() + '.';
}
config.hosts.anonymousdomain = 'guest.meet.jitsi';
config.hosts.muc = 'muc.' + subdomain + 'meet.jitsi';
config.bosh = 'https://meet.example/' + subdir + 'http-bind';
config.websocket = 'wss://meet.example/' + subdir + 'xmpp-websocket'
config.conferenceRequestUrl='https://meet.example/' + subdir + 'conference-request/v1';
config.bridgeChannel = { preferSctp: false };
/* config.websocket = 'wss://commented.out/'; */
config.dynamic = window.location.host + '/x', config.other = function (a) { config.websocket = 'no'; };
if (location.hash) { config.hosts.domain = 'no'; } else config.hosts.domain = 'no';
"""


def test_a_debian_server() -> None:
    assert server_from_config(DEBIAN, URL) == Server(
        domain="meet.example",
        muc="conference.meet.example",
        guest_domain="meet.example",
        focus="focus.meet.example",
        websocket="wss://meet.example/xmpp-websocket",
    )


def test_a_docker_server_with_everything() -> None:
    assert server_from_config(DOCKER, URL) == Server(
        domain="meet.jitsi",
        muc="muc.meet.jitsi",
        guest_domain="guest.meet.jitsi",
        focus="focus.meet.jitsi",
        websocket="wss://meet.example/xmpp-websocket",
        conference_request="https://meet.example/conference-request/v1",
        focus_user="focus@auth.meet.jitsi",
        prefer_sctp=False,
    )


@pytest.mark.parametrize("script", [DEBIAN, DOCKER])
def test_a_tenant_has_rooms_and_paths_of_its_own(script: str) -> None:
    server = server_from_config(script, TENANT_URL)
    assert server.muc in ("conference.st_mary.meet.example", "muc.st_mary.meet.jitsi")
    assert server.websocket == "wss://meet.example/st.mary/xmpp-websocket"


def test_a_server_without_tenants_says_so() -> None:
    script = DEBIAN.replace('\'<!--# echo var="subdomain" default="" -->\'', '""')
    assert script != DEBIAN
    assert server_from_config(script, TENANT_URL).muc == "conference.meet.example"


def test_a_server_with_tenants_has_put_them_in() -> None:
    script = DEBIAN.replace('<!--# echo var="subdomain" default="" -->', "St.Mary.")
    assert server_from_config(script, TENANT_URL).muc == "conference.st_mary.meet.example"


def test_every_value_can_be_given_by_hand() -> None:
    known = Overrides(
        domain="a.example",
        muc="b.example",
        anonymous_domain="c.example",
        focus="d.example",
        websocket="wss://e.example/ws?x=1",
        conference_request="",
        focus_user="f@g.example",
    )
    assert server_from_config(DOCKER, URL, known) == Server(
        domain="a.example",
        muc="b.example",
        guest_domain="c.example",
        focus="d.example",
        websocket="wss://e.example/ws",
        focus_user="f@g.example",
        prefer_sctp=False,
    )


def test_without_a_config_the_three_that_matter_are_enough() -> None:
    known = Overrides(domain="meet.example", muc="muc.meet.example", websocket="wss://meet.example/ws")
    assert server_from_config("<html>not found</html>", URL, known).focus == "focus.meet.example"
    with pytest.raises(Refused, match=r"what meet\.example gives as its config\.js is none"):
        server_from_config("<html>not found</html>", URL)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("var config = {};", r"does not say `hosts\.domain`"),
        ("var config = { hosts: { domain: 'x.example' } };", r"does not say `hosts\.muc`"),
        (
            "var config = { hosts: { domain: location.host, muc: 'm.example' } };",
            r"does not say `hosts\.domain`",
        ),
        ("var config = { hosts: { domain: 'd', muc: 'm' }, bosh: '/http-bind' };", "only BOSH"),
        ("var config = { hosts: { domain: 'd', muc: 'm' } };", "does not say `websocket`"),
        ("var config = { hosts: { domain: 'd', muc: 'm' }, websocket: 'ws://other.example/x' };", "wss://"),
        ("var config = { hosts: { domain: 'd', muc: 'm' }, websocket: 'javascript:x' };", "wss://"),
        (
            "var config = { hosts: { domain: 'd\\n<x>', muc: 'm' }, websocket: 'wss://h/x' };",
            "expected a domain",
        ),
    ],
)
def test_what_is_missing_or_wrong_is_said_and_can_be_given_by_hand(script: str, words: str) -> None:
    with pytest.raises(Refused, match=words) as refused:
        server_from_config(script, URL)
    assert "by hand" in str(refused.value)


def test_relative_addresses_belong_to_the_host() -> None:
    hosts = "hosts: { domain: 'd', muc: 'm' }"
    script = f"var config = {{ {hosts}, websocket: '//ws.example/x', conferenceRequestUrl: '/c' }}"
    server = server_from_config(script, URL)
    assert server.websocket == "wss://ws.example/x"
    assert server.conference_request == "https://meet.example/c"


@pytest.mark.parametrize(
    ("script", "value"),
    [
        ("config = { a: 'x' + `y` + \"z\" }", "xyz"),
        ("var b = 'v'; config = { a: `x${b}y` }", "xvy"),
        ("config = { a: `x${b()}y` }", None),
        ("config = { 'a': 'it\\'s \\u00e9\\n' }", "it's é\n"),
        ("config = {}; config['a'] = 'x'", "x"),
        ("config = {}; config.a = 'x'\nconfig.b = 'y'", "x"),
        ("config = {}; config.a = b || 'x'; ", None),
        ("config = {}; config.a = (function () { return 'x'; })();", None),
        ("config = { a: c ? 'x' : 'y' }", None),
        ("config = { a: { b: 'x' } }; config.a = 'y'", "y"),
        ("config = { b: 'x' }; config.a = config.b", "x"),
        ("config = { a: 'x' }; if (y) config.a = 'z';", "x"),
        ("config = { a: 'x' }; for (;;) { config.a = 'z'; }", "x"),
        ("config = { a: 'x' }; function f() { config.a = 'z'; }", "x"),
        ("config = { a: 'x' }; if (config.a == 'z') { } config.a === 'q'", "x"),
        ("config = { a: 'x', get b() { return 1; }, c, ...d }", "x"),
        ("config = { a: true }", True),
        ("config = { a: 5.5 }", 5.5),
    ],
)
def test_plain_values_are_understood_and_others_unknown(script: str, value: object) -> None:
    assert read_script(script, {}).get("a") == value


def test_doubling_strings_fill_no_memory() -> None:
    script = "var s = 'xxxxxxxx';" + "s = s + s;" * 10_000 + "var config = { a: s };"
    assert read_script(script, {}) == {"a": None}


def test_an_object_cannot_be_put_into_itself() -> None:
    script = "var config = {}; config.a = config; config.a.a = config;" + "config.b = { c: config };" * 100
    assert read_script(script, {}) == {"a": None, "b": {"c": None}}


@pytest.mark.slow
@pytest.mark.parametrize(
    "unit", ["{a:", "config = {a:", "config = [", "if (", "if ", "else ", "try ", "function ", "a."]
)
def test_depth_costs_no_stack(unit: str) -> None:
    with contextlib.suppress(SignallingError):
        read_script(unit.partition("{")[0] + unit * 40_000, {})


def test_what_is_too_long_for_a_config_is_refused() -> None:
    with pytest.raises(SignallingError, match="at most"):
        read_script(" " * (MAX_SCRIPT_CHARACTERS + 1), {})


fragments = st.sampled_from(
    ["config", "=", "{", "}", "(", ")", "[", "]", "'a'", '"b"', "`${c}`", "+", ".", ",", ";", ":", "var ", "if",
     "else ", "function", "//", "/*", "*/", "\n", "'", "`", "\\", "1", "hosts", "websocket", "return ", "...", "=>"]
)  # fmt: skip


@given(st.lists(fragments, max_size=60).map("".join))
def test_any_script_is_read_or_refused(script: str) -> None:
    with contextlib.suppress(SignallingError):
        read_script(script, {"subdir": ""})


@given(st.text(max_size=200))
def test_any_text_leads_to_a_server_or_a_sentence(script: str) -> None:
    with contextlib.suppress(Refused):
        server_from_config(script, URL)


@given(st.integers(0, len(DEBIAN)), st.integers(0, len(DOCKER)))
def test_cut_scripts_lead_to_a_server_or_a_sentence(first: int, second: int) -> None:
    with contextlib.suppress(Refused):
        server_from_config(DEBIAN[:first] + DOCKER[second:], URL)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://meet.example/Clinic", MeetingUrl(host="meet.example", room="clinic")),
        (" https://Meet.Example:8443/clinic/ ", MeetingUrl(host="meet.example:8443", room="clinic")),
        ("https://meet.example/St.Mary/clinic", MeetingUrl(host="meet.example", tenant="st.mary", room="clinic")),
        ("https://meet.example/my%20room", MeetingUrl(host="meet.example", room="my%20room")),
        ("https://meet.example/Ärzte", MeetingUrl(host="meet.example", room="%c3%a4rzte")),
        ("https://meet.example/c?jwt=a.b.c#config.x=1", MeetingUrl(host="meet.example", room="c", token="a.b.c")),
        ("https://meet.example/cli'ni&c!", MeetingUrl(host="meet.example", room="clinic")),
        ("http://127.0.0.1:8000/r", MeetingUrl(host="127.0.0.1:8000", room="r", secure=False)),
    ],
)  # fmt: skip
def test_addresses_are_taken_apart(text: str, expected: MeetingUrl) -> None:
    assert parse_meeting_url(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "meet.example/room",
        "ftp://meet.example/room",
        "https://meet.example",
        "https://meet.example/a/b/c",
        "https:///room",
        "https://ana:geheim@meet.example/room",
        "http://meet.example/room",
        "https://meet.example/%3F",
        "https://meet.example:99999/room",
        "https://[::1/room",
        "https://meet example/room",
        "https://meet.example/" + "r" * 300,
        "https://meet.example/room?jwt=" + "geheim" * 2000,
    ],
)
def test_what_is_no_address_is_refused_without_being_quoted(text: str) -> None:
    with pytest.raises(Refused, match="expected") as refused:
        parse_meeting_url(text)
    assert "geheim" not in str(refused.value)


def test_a_token_is_shown_nowhere() -> None:
    url = parse_meeting_url("https://meet.example/clinic?jwt=eyJhbGciOi")
    assert "eyJ" not in repr(url) + str(url) + url.config_url
    assert str(url) == "https://meet.example/clinic"


def test_the_room_is_named_when_the_config_is_asked_for() -> None:
    assert TENANT_URL.config_url == "https://meet.example/st.mary/config.js?room=clinic"


@given(st.text(max_size=100))
def test_any_text_is_an_address_or_a_sentence(text: str) -> None:
    with contextlib.suppress(Refused):
        parse_meeting_url(text, insecure=True)
    with contextlib.suppress(Refused):
        parse_meeting_url(f"https://meet.example/{text}")


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=50))
def test_names_are_written_as_the_server_writes_them(name: str) -> None:
    written = backend_name(name)
    assert written == written.lower()
    assert written.isascii()
