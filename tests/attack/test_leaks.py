"""Threat: an upstream gives away the credential that it was given (laws 2, 3 and 6)."""

import base64
import json
import re
from pathlib import Path

import pytest

from mcpguard.adapters.upstreams.process.inherited import AUTHORITIES, PLACES, PROXIES
from tests.attack.processes import family, needs_proc
from tests.servers.disguises import read
from tests.servers.forms import forms
from tests.wire.session import Guard, eventually, puppet

SECRET = 'T0k/en+"q\\7é=Zk9-f8E7d6C5b4A3z2Y1x0W'
PLAIN = "plainT0kenWithoutMarks9f8E7d6C5b4A3z2Y1x0W"
WINDOW = 10
"""So many characters in a row of a secret are a leak of it."""


def strings(value):
    """Every string in a JSON value, names of members included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, member in value.items():
            yield name
            yield from strings(member)
    elif isinstance(value, list):
        for member in value:
            yield from strings(member)


def needles(secret):
    """What must not be found: each form, every part of the plain one, and the middle of each base64."""
    found = {form for form in forms(secret) if len(form) >= WINDOW}
    found |= {secret[at : at + WINDOW] for at in range(len(secret) - WINDOW + 1)}
    for ahead in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            found.add(encode(bytes(ahead) + secret.encode())[4:-4].decode())
    return found


def texts_in(data):
    """Some bytes as a text, and the strings of each line that is JSON."""
    texts = [data.decode("utf-8", "replace")]
    for line in data.split(b"\n"):
        try:
            texts += strings(json.loads(line))
        except ValueError:
            continue
    return texts


def leaks(data, secret):
    """The forms of the secret in some bytes: as they are, and in the strings of each JSON line."""
    texts = texts_in(data)
    return {needle for needle in needles(secret) for text in texts if needle in text}


def command_lines():
    """The command lines of this test's processes."""
    return "\n".join(family().values()).encode()


def assert_clean(guard, secret=SECRET):
    """Nothing of the secret in any byte that left mcpguard."""
    places = {
        "client": bytes(guard.received),
        "stderr": guard.stderr,
        "audit": guard.audit_bytes,
        "argv": command_lines() if Path("/proc").exists() else b"",
    }
    assert {place: leaks(data, secret) for place, data in places.items() if leaks(data, secret)} == {}


def hostile(tmp_path, *argv, secret=SECRET, **more):
    """An upstream that holds the secret, from a file."""
    path = tmp_path / "token"
    path.write_text(secret, encoding="utf-8")
    path.chmod(0o600)
    return puppet(*argv, env={"TOKEN": f"${{file:{path}}}"}, **more)


CHANNELS = {
    "text": "answer = text(' '.join(forms(token)))",
    "texts": "answer = {'content': [{'type': 'text', 'text': form} for form in forms(token)]}",
    "tool error": "answer = {**text('\\n'.join(forms(token))), 'isError': True}",
    "structured values": "answer = {**text(''), 'structuredContent': {'deep': [{'v': f} for f in forms(token)]}}",
    "structured keys": "answer = {**text(''), 'structuredContent': {'d': {f: 1 for f in forms(token)}}}",
    "result meta": "answer = {**text(''), '_meta': {f: f for f in forms(token)}}",
    "unknown members": "answer = {**text(''), **{f: f for f in forms(token)}}",
    "resource": "answer = {'content': [{'type': 'resource', 'resource': {'uri': 'x:' + f, 'blob': f}}"
    " for f in forms(token)]}",
    "image": "answer = {'content': [{'type': 'image', 'mimeType': f, 'data': f} for f in forms(token)]}",
    "error message": "error = {'code': -32000, 'message': ' '.join(forms(token))}",
    "error data": "error = {'code': 1, 'message': 'm', 'data': {f: [f] for f in forms(token)}}",
    "log": "[notify('notifications/message', level='info', logger=f, data={f: f}) for f in forms(token)]",
    "progress": "[notify('notifications/progress', progressToken=params['_meta']['progressToken'],"
    " progress=1, message=f, _meta={f: f}) for f in forms(token)]",
    "progress token": "[notify('notifications/progress', progressToken=f, progress=1) for f in forms(token)]",
    "unknown method": "[notify('notifications/' + f, x=f) for f in forms(token)]",
    "own request": "[send({'id': f, 'method': f, 'params': {f: f}}) for f in forms(token)]",
    "own ping": "[send({'id': f, 'method': 'ping'}) for f in forms(token)]",
    "stderr": "[say(f) for f in forms(token)]",
    "stderr in the middle": "[say('before ' + f + ' behind') for f in forms(token)]",
    "junk": "[raw(f.encode() + b'\\n') for f in forms(token)]",
    "junk json": "[raw(json.dumps({'x': f}).encode() + b'\\n') for f in forms(token)]",
    "junk escapes": "raw(json.dumps(['\\x1b' + f for f in forms(token)]).encode() + b'\\n')",
    "answers to nobody": "[send({'id': 4711, 'result': {'x': f}}) for f in forms(token)]",
    "long junk": "raw(b'x' * 190 + token.encode() + b'\\n')",
    "longer junk": "raw(b'x' * 185 + token.encode() + b'\\n')",
    "long stderr": "say('x' * 1980 + token); say('x' * 1970 + token)",
    "oversize stderr": "say('x' * 500 + token + 'x' * 100_000)",
    "changed list": "state['tools'] = [tool('t', description=f) for f in forms(token)];"
    " notify('notifications/tools/list_changed')",
    "nested text": "answer = text(json.dumps({'inner': json.dumps({'t': token})}))",
    "spread over blocks": "answer = {'content': [{'type': 'text', 'text': part} for part in"
    " (token[:15], token[15:])]}",
    "wrapped base64": "import textwrap, base64; answer = text('\\n'.join(textwrap.wrap("
    "base64.b64encode(token.encode() * 9).decode(), 76)))",
}


@pytest.mark.parametrize("channel", [name for name, code in CHANNELS.items() if "forms(token)" in code])
def test_no_disguise_of_a_secret_can_be_read_in_any_channel(heard, channel):
    heard.new()
    # What is a line for each is inspected line by line.
    said = "disguised(token)" if channel not in LINES else "[f for f in disguised(token) if '\\n' not in f]"
    told(heard.guard, CHANNELS[channel].replace("forms(token)", said), f"no more {channel}")
    secret = heard.secret
    parts = {secret[at : at + WINDOW] for at in range(len(secret) - WINDOW + 1)}
    found = {}
    for place, data in heard.new().items():
        for text in texts_in(data):
            found |= {
                part: (place, text[:200])
                for seen in read(text, known=heard.known)
                for part in parts
                if part in seen
            }
    assert found == {}


LINES = frozenset(name for name in CHANNELS if name.startswith(("stderr", "junk")))
LAST_WORDS = {
    "last words": "say('dying: ' + ' '.join(forms(token))); os._exit(3)",
    "long last words": "say('x' * 390 + token); os._exit(3)",
    "longer last words": "say('x' * 380 + token); os._exit(3)",
}


class Heard:
    """A session with a hostile upstream, and what left mcpguard since the last look."""

    def __init__(self, folder, secret):
        self.secret = secret
        self.guard = Guard(folder, {"h": hostile(folder, secret=secret), "other": puppet()})
        self.guard.hello()
        assert self.guard.text("h__act", code="answer = text(str(len(token)))") == str(len(secret))
        self.known = {}
        self._seen = {}

    def new(self):
        """The bytes that came meanwhile, by place."""
        guard = self.guard
        all_of_it = {
            "client": bytes(guard.received),
            "stderr": guard.stderr,
            "audit": guard.audit_bytes,
        }
        found = {place: data[self._seen.get(place, 0) :] for place, data in all_of_it.items()}
        self._seen = {place: len(data) for place, data in all_of_it.items()}
        return found


def told(guard, code, end):
    """Let the hostile upstream do this, and another one say the end."""
    params = {"name": "h__act", "arguments": {"code": code}, "_meta": {"progressToken": "mine"}}
    guard.ask("tools/call", params)
    guard.ask("tools/list")
    guard.call("other__act", code=f"say({end!r})")
    guard.wait_stderr(f"[other] {end}")


@pytest.fixture(scope="module", params=[SECRET, PLAIN], ids=["marks", "plain"])
def heard(request, tmp_path_factory):
    """One session for all channels."""
    found = Heard(tmp_path_factory.mktemp("heard"), request.param)
    yield found
    found.guard.dispose()


@pytest.mark.parametrize("channel", CHANNELS)
def test_an_upstream_cannot_give_its_secret_away(heard, channel):
    heard.new()
    told(heard.guard, CHANNELS[channel], f"the end of {channel}")
    places = {**heard.new(), "argv": command_lines() if Path("/proc").exists() else b""}
    assert {place: found for place, data in places.items() if (found := leaks(data, heard.secret))} == {}


@pytest.mark.parametrize("secret", [SECRET, PLAIN], ids=["marks", "plain"])
@pytest.mark.parametrize("channel", LAST_WORDS)
def test_the_last_words_of_an_upstream_cannot_give_its_secret_away(session, tmp_path, channel, secret):
    guard = session({"h": hostile(tmp_path, secret=secret), "other": puppet()})
    told(guard, LAST_WORDS[channel], "the end")
    assert_clean(guard, secret)
    assert guard.end() == 0
    assert_clean(guard, secret)


@pytest.mark.parametrize(
    "channel", ["text", "texts", "tool error", "error message", "log", "progress", "stderr"]
)
def test_what_was_removed_is_named_by_what_gets_it_and_counted_in_the_audit(session, tmp_path, channel):
    guard = session({"h": hostile(tmp_path)})
    guard.ask(
        "tools/call",
        {"name": "act", "arguments": {"code": CHANNELS[channel]}, "_meta": {"progressToken": "mine"}},
    )
    if channel == "stderr":
        guard.wait_stderr("[REDACTED:credential:h/TOKEN#")
        return
    assert b"[REDACTED:credential:h/TOKEN#" in guard.received
    findings = [key for record in guard.records() for key in record.get("findings", {})]
    assert any(key.startswith("credential:h/TOKEN") for key in findings)


LISTED = {
    "name": "tool(f[:200])",
    "title": "tool('t%d' % n, title=f)",
    "description": "tool('t%d' % n, description='Use ' + f)",
    "schema": "tool('t%d' % n, inputSchema={'type': 'object', 'properties': {f: {'default': f, 'enum': [f]}}})",
    "output schema": "tool('t%d' % n, outputSchema={'type': 'object', 'description': f})",
    "annotations": "tool('t%d' % n, annotations={'title': f, f: True})",
    "meta": "tool('t%d' % n, _meta={f: {f: f}})",
    "icons": "tool('t%d' % n, icons=[{'src': 'data:' + f}])",
}


@pytest.mark.parametrize("part", range(3))
@pytest.mark.parametrize("place", LISTED)
def test_a_tool_list_cannot_give_the_secret_away(session, tmp_path, place, part):
    # A list that has all of them would be withheld for its many hits.
    code = f"state['tools'] = TOOLS + [{LISTED[place]} for n, f in enumerate(forms(token)[{part}::3])]"
    guard = session({"h": hostile(tmp_path, "--start", code)})
    assert {"act", "echo"} <= set(guard.tools())
    guard.call("echo", text="x")
    guard.call("no such tool")
    assert_clean(guard)


STARTS = {
    "crash": "say(' '.join(forms(token))); os._exit(3)",
    "crash after a long line": "say('x' * 385 + token); os._exit(3)",
    "junk then crash": "[raw(f.encode() + b'\\n') for f in forms(token)]; os._exit(3)",
    "bad initialize": "raw(json.dumps({'jsonrpc': '2.0', 'id': 1, 'error': {'code': 1, 'message': token}})"
    ".encode() + b'\\n')",
    "strange version": "state['version'] = token",
    "list is an error": "state['on_list'] = \"send({'id': request_id, 'error': {'code': 1, 'message': token}})\"",
    "list is a text": "state['on_list'] = \"send({'id': request_id, 'result': {'tools': token}})\"",
    "endless pages": "state['on_list'] = \"send({'id': request_id, 'result': {'tools': [],"
    " 'nextCursor': token}})\"",
    "two of a name": "state['tools'] = [tool('a', description=f) for f in forms(token)]",
    "unprintable name": "state['tools'] = [tool('a\\x1b' + f) for f in forms(token)]",
}


def test_the_password_of_a_proxy_reaches_no_server_that_does_not_name_it_and_never_the_client(
    session, tmp_path
):
    proxy = f"http://ada:{PLAIN}@proxy.invalid:3128"
    theirs = tmp_path / "theirs"
    told = puppet("--start", f"open({str(theirs)!r}, 'w').write(json.dumps(environ))")
    named = puppet(env={"HTTPS_PROXY": "${env:HTTPS_PROXY}"})
    guard = session(
        {"told": told, "named": named}, env={"HTTPS_PROXY": proxy, "HTTP_PROXY": "http://p.invalid"}
    )
    guard.tools()
    environ = json.loads(theirs.read_text())
    assert environ["HTTP_PROXY"] == "http://p.invalid"
    assert leaks(json.dumps(environ).encode(), PLAIN) == set()
    code = "answer = text(str(len(environ['HTTPS_PROXY'])) + environ['HTTPS_PROXY'])"
    assert guard.text("named__act", code=code).startswith(str(len(proxy)))
    guard.wait_stderr("HTTPS_PROXY holds a user name or password, so it is not passed on to told;")
    assert leaks(bytes(guard.received) + guard.stderr + guard.audit_bytes, PLAIN) == set()


@pytest.mark.parametrize("start_code", STARTS)
def test_a_start_that_goes_wrong_cannot_give_the_secret_away(session, tmp_path, start_code):
    guard = session({"h": hostile(tmp_path, "--start", STARTS[start_code])})
    guard.ask("tools/list")
    guard.call("act")
    assert_clean(guard)
    guard.end()
    assert_clean(guard)


def test_the_environment_of_an_upstream_has_the_allowed_names_and_its_own_and_nothing_else(session, tmp_path):
    theirs = tmp_path / "theirs"
    entry = hostile(tmp_path)
    other = puppet("--start", f"open({str(theirs)!r}, 'w').write(json.dumps(environ))", env={"OWN": "mine"})
    ours = {"MCPGUARD_CONFIG": "x", "AWS_SECRET_ACCESS_KEY": "y", "OURS": "z", "LD_LIBRARY_PATH": "/none"}
    guard = session({"h": entry, "other": other}, env=ours)
    guard.tools()
    environ = json.loads(theirs.read_text())
    allowed = {
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "SHELL",
        "TERM",
        "LANG",
        "LC_ALL",
        "LC_CTYPE",
        "TZ",
        "TMPDIR",
    }
    allowed |= {"GIT_CONFIG_COUNT", "GIT_CONFIG_KEY_0", "GIT_CONFIG_VALUE_0"}
    allowed |= {*PROXIES, *AUTHORITIES, *PLACES}
    # The shell that waits for the watchdog adds PWD and, with some shells, two more.
    assert set(environ) - allowed - {"PWD", "OLDPWD", "SHLVL", "_"} == {"OWN"}
    assert environ["OWN"] == "mine"
    assert leaks(json.dumps(environ).encode(), SECRET) == set()


def test_no_environment_in_proc_but_the_upstreams_own_holds_the_secret(session, tmp_path):
    guard = session({"h": hostile(tmp_path, "--mark", "holder"), "other": puppet()})
    guard.tools()
    eventually(lambda: len(family()) >= 4, "all processes")
    holders = []
    for pid, line in family().items():
        environ = Path(f"/proc/{pid}/environ").read_bytes()
        if SECRET.encode() in environ:
            holders.append(line)
    assert len(holders) == 1
    assert "holder" in holders[0]


@needs_proc
def test_a_credential_from_our_environment_is_in_no_environment_but_the_upstreams_own(session):
    server = puppet("--mark", "holder", env={"TOKEN": "${env:OUR_TOKEN}"})
    guard = session({"h": server}, env={"OUR_TOKEN": SECRET}, cold=True)
    assert guard.tools()
    holders = [pid for pid in family() if SECRET.encode() in Path(f"/proc/{pid}/environ").read_bytes()]
    assert ["holder" in family()[pid] for pid in holders] == [True]
    assert b"OUR_TOKEN" in Path(f"/proc/{guard.pid}/environ").read_bytes()
    limits = Path(f"/proc/{guard.pid}/limits").read_text()
    assert re.search(r"Max core file size +0 ", limits), limits


def test_a_text_that_looks_like_a_reference_stays_a_text(session, tmp_path):
    guard = session({"h": hostile(tmp_path), "other": puppet()}, env={"OURS": "a-variable-of-mcpguard"})
    reference = f"${{file:{tmp_path / 'token'}}} ${{env:OURS}} ${{keyring:x}} $OURS `id` $(id)"
    assert json.loads(guard.text("other__seen", text=reference))["arguments"] == {"text": reference}
    assert_clean(guard)
