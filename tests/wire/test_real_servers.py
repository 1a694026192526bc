"""The SDK's own client through `mcpguard run` to mcp-server-git and mcp-server-time."""

import contextlib
import subprocess

import anyio
import mcp
import pytest
from mcp import types
from mcp.client.session import ClientSession
from mcp.client.stdio import StdioServerParameters, stdio_client

from tests.conformance.stage import over_stdio
from tests.wire.session import puppet, verify, write_config
from tests.wire.warm import sdk_server

RULES = [
    {"id": "read", "effect": "allow", "server": "git", "tools": ["git_status", "git_log", "git_branch"]},
    {"id": "commit", "effect": "allow", "server": "git", "tools": ["git_commit"]},
    {
        "id": "no-main",
        "effect": "deny",
        "server": "git",
        "tools": ["git_commit"],
        "when": 'args.message.startsWith("release")',
        "message": "Releases are made by the pipeline.",
    },
    {"id": "clock", "effect": "allow", "server": "time", "tools": ["*"]},
]
READ = ["git_status", "git_log", "git_branch", "git_commit"]


@pytest.fixture
def repository(tmp_path):
    """A git repository with one commit."""
    folder = tmp_path / "repository"
    folder.mkdir()
    (folder / "file.txt").write_text("content\n")
    identity = ["-c", "user.name=Tester", "-c", "user.email=tester@example.invalid"]
    for command in (["init", "-q"], ["add", "."], [*identity, "commit", "-q", "-m", "the first commit"]):
        subprocess.run(["git", *command], cwd=folder, check=True, timeout=20)
    return folder


@pytest.fixture
def git(repository):
    """The configuration entry of mcp-server-git."""
    return sdk_server("mcp_server_git", "--repository", str(repository))


@pytest.fixture
def clock():
    """The configuration entry of mcp-server-time."""
    return sdk_server("mcp_server_time", "--local-timezone", "UTC")


def parameters(folder, servers, rules=RULES):
    """How a client starts mcpguard."""
    config = write_config(folder, servers, rules)
    command, *args = over_stdio(config)
    return StdioServerParameters(command=command, args=args)


@contextlib.asynccontextmanager
async def client_session(started, errors, **more):
    """An initialized `ClientSession`; the standard error of mcpguard goes to `errors`."""
    async with stdio_client(started, errlog=errors) as streams, ClientSession(*streams, **more) as session:
        await session.initialize()
        yield session


@pytest.fixture
def run(tmp_path):
    """`run(servers, body)` runs `await body(session)`; gives what it gave."""

    def begin(servers, body, rules=RULES, **more):
        async def main():
            with open(tmp_path / "stderr", "w") as errors, anyio.fail_after(40):
                async with client_session(parameters(tmp_path, servers, rules), errors, **more) as session:
                    return await body(session)

        return anyio.run(main)

    return begin


def text(result):
    """The text of a result of one block."""
    return result.content[0].text


def test_the_list_of_one_server_is_filtered_and_its_names_are_unchanged(run, git):
    async def body(session):
        return [tool.name for tool in (await session.list_tools()).tools]

    assert sorted(run({"git": git}, body)) == sorted(READ)


def test_an_allowed_call_gives_what_the_server_gives(run, git, repository):
    async def body(session):
        return await session.call_tool("git_log", {"repo_path": str(repository)})

    result = run({"git": git}, body)
    assert not result.is_error
    assert "the first commit" in text(result)


def test_a_denied_call_names_its_rule_its_message_and_its_invocation(run, git, repository, tmp_path):
    async def body(session):
        return await session.call_tool("git_commit", {"repo_path": str(repository), "message": "release 1"})

    result = run({"git": git}, body)
    assert result.is_error
    assert "test/no-main" in text(result)
    assert "Releases are made by the pipeline." in text(result)
    audit = (tmp_path / "audit").glob("*.jsonl")
    invocation = text(result).partition("[invocation ")[2].rstrip("]")
    assert f'"id":"{invocation}"' in next(audit).read_text()
    log = subprocess.run(
        ["git", "log", "--oneline"], cwd=repository, capture_output=True, check=True, timeout=9
    )
    assert log.stdout.count(b"\n") == 1


def test_a_hidden_tool_and_one_that_does_not_exist_get_the_same_error(run, git):
    async def body(session):
        found = []
        for name in ("git_reset", "git_rexxx"):
            with pytest.raises(mcp.MCPError) as error:
                await session.call_tool(name, {"repo_path": "x"})
            found.append((error.value.error.code, error.value.error.message, error.value.error.data))
        return found

    hidden, unknown = run({"git": git}, body)
    assert hidden == (unknown[0], unknown[1].replace("git_rexxx", "git_reset"), unknown[2])


def test_two_real_servers_at_once_have_their_names_in_front(run, git, clock, repository, tmp_path):
    async def body(session):
        names = [tool.name for tool in (await session.list_tools()).tools]
        status = await session.call_tool("git__git_status", {"repo_path": str(repository)})
        now = await session.call_tool("time__get_current_time", {"timezone": "UTC"})
        return names, status, now

    names, status, now = run({"git": git, "time": clock}, body)
    assert names == [*[f"git__{name}" for name in sorted(READ, key=names_of_git)],
                     "time__get_current_time", "time__convert_time"]  # fmt: skip
    assert "Repository status" in text(status)
    assert "UTC" in text(now)
    assert verify(tmp_path / "audit")[0] == 0


def names_of_git(name):
    """The place of a tool in the list of mcp-server-git."""
    return ["git_status", "git_commit", "git_log", "git_branch"].index(name)


def test_an_error_of_a_real_server_comes_through_as_a_tool_error(run, clock):
    async def body(session):
        return await session.call_tool("get_current_time", {"timezone": "Nowhere/City"})

    result = run({"time": clock}, body)
    assert result.is_error
    assert "Nowhere/City" in text(result)


@pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning")
@pytest.mark.parametrize("mode", ["legacy", "auto"])
def test_the_high_level_client_works_in_each_mode(tmp_path, clock, mode):
    async def main():
        with anyio.fail_after(40):
            async with mcp.Client(parameters(tmp_path, {"time": clock}), mode=mode) as client:
                names = [tool.name for tool in (await client.list_tools()).tools]
                result = await client.call_tool("get_current_time", {"timezone": "UTC"})
                if mode == "legacy":
                    await client.send_ping()
                return names, result, client.protocol_version

    names, result, version = anyio.run(main)
    assert names == ["get_current_time", "convert_time"]
    assert not result.is_error
    assert version == ("2025-11-25" if mode == "legacy" else "2026-07-28")


def test_progress_comes_in_order_before_the_result(run):
    seen = []

    async def progress(done, total, message):
        seen.append((done, total, message))

    async def body(session):
        code = (
            "token_ = params['_meta']['progressToken']\n"
            "for n in range(20): notify('notifications/progress', progressToken=token_, progress=n, total=20,"
            " message=str(n))"
        )
        result = await session.call_tool("act", {"code": code}, progress_callback=progress)
        return text(result), list(seen)

    assert run({"p": puppet()}, body, rules=[{"id": "a", "effect": "allow", "tools": ["*"]}]) == (
        "done",
        [(n, 20, str(n)) for n in range(20)],
    )


@pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning")
def test_log_messages_and_the_list_change_reach_the_client(run):
    logs = []
    changes = []

    async def logged(params):
        logs.append((params.level, params.data))

    async def handled(message):
        if isinstance(message, types.ToolListChangedNotification):
            changes.append(message)

    async def body(session):
        await session.list_tools()
        await session.set_logging_level("debug")
        code = (
            "notify('notifications/message', level='warning', data={'n': 1});"
            " state['tools'] = [*TOOLS, tool('added')]; notify('notifications/tools/list_changed')"
        )
        await session.call_tool("act", {"code": code})
        while not (logs and changes):
            await anyio.lowlevel.checkpoint()
        added = await session.call_tool("added", {"text": "it works"})
        return text(added), [tool.name for tool in (await session.list_tools()).tools]

    added, names = run(
        {"p": puppet()},
        body,
        rules=[{"id": "a", "effect": "allow", "tools": ["*"]}],
        logging_callback=logged,
        message_handler=handled,
    )
    assert added == "it works"
    assert "added" in names
    assert logs == [("warning", {"n": 1})]
    assert len(changes) == 1


def test_a_call_that_the_client_gives_up_is_cancelled_upstream(run, tmp_path):
    async def body(session):
        await session.list_tools()
        with anyio.move_on_after(0.3):
            await session.call_tool("act", {"code": "silent = True"})
        return text(await session.call_tool("echo", {"text": "after"}))

    assert run({"p": puppet()}, body, rules=[{"id": "a", "effect": "allow", "tools": ["*"]}]) == "after"
    assert "[p] cancelled" in (tmp_path / "stderr").read_text()
    assert '"status":"cancelled"' in next((tmp_path / "audit").glob("*.jsonl")).read_text()
