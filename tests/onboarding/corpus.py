"""Real-shaped configurations of every client, and the folder of a person who has them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from mcpguard.onboarding.discovery.reading import SearchPlaces

FOLDER = Path(__file__).parent / "corpus"


class Case(NamedTuple):
    """A file of the corpus: the client, where it has the file (as in `CLIENTS`), how many secrets are in it."""

    client: str
    path: str
    name: str
    secrets: int


CASES = (
    Case("claude-desktop", "{config}/Claude/claude_desktop_config.json", "claude-desktop.json", 2),
    Case("claude-code", "~/.claude.json", "claude-code.json", 2),
    Case("claude-code", "./.mcp.json", "claude-code-project.json", 1),
    Case("cursor", "~/.cursor/mcp.json", "cursor.json", 2),
    Case("vscode", "{config}/Code/User/mcp.json", "vscode.json", 1),
    Case("vscode", "{config}/Code/User/settings.json", "vscode-settings.json", 1),
    Case("windsurf", "~/.codeium/windsurf/mcp_config.json", "windsurf.json", 2),
    Case("zed", "~/.config/zed/settings.json", "zed.json", 2),
    Case("cline", "~/.cline/data/settings/cline_mcp_settings.json", "cline.json", 2),
    Case("codex", "~/.codex/config.toml", "codex.toml", 2),
    Case("gemini", "~/.gemini/settings.json", "gemini.json", 2),
    Case("continue", "~/.continue/config.yaml", "continue.yaml", 2),
    Case("continue", "./.continue/mcpServers/tickets.yaml", "continue-block.yaml", 1),
    Case("junie", "~/.junie/mcp/mcp.json", "junie.json", 1),
    Case("warp", "~/.warp/.mcp.json", "warp.json", 2),
    Case("lmstudio", "~/.lmstudio/mcp.json", "lmstudio.json", 1),
    Case("vscode", "{config}/Code/User/profiles/5f2c/mcp.json", "vscode-profile.json", 1),
    Case("vscode-insiders", "{config}/Code - Insiders/User/mcp.json", "vscode-insiders.json", 1),
    Case("vscodium", "{config}/VSCodium/User/mcp.json", "vscodium.json", 1),
    Case("copilot-cli", "~/.copilot/mcp-config.json", "copilot-cli.json", 2),
    Case(
        "roo",
        "{config}/Code/User/globalStorage/rooveterinaryinc.roo-cline/settings/mcp_settings.json",
        "roo.json",
        2,
    ),
    Case("kilo", "~/.config/kilo/kilo.jsonc", "kilo.jsonc", 1),
    Case("kilo-classic", "./.kilocode/mcp.json", "kilo-classic.json", 1),
    Case("qwen", "~/.qwen/settings.json", "qwen.json", 2),
    Case("antigravity", "~/.gemini/config/mcp_config.json", "antigravity.json", 1),
    Case("amp", "~/.config/amp/settings.json", "amp.json", 2),
    Case("kiro", "~/.kiro/settings/mcp.json", "kiro.json", 2),
    Case("amazon-q", "~/.aws/amazonq/mcp.json", "amazon-q.json", 1),
    Case("amazon-q", "~/.aws/amazonq/cli-agents/mine.json", "amazon-q-agent.json", 1),
    Case("opencode", "~/.config/opencode/opencode.json", "opencode.json", 2),
    Case("opencode", "./.opencode/opencode.jsonc", "opencode-second.jsonc", 1),
    Case("crush", "~/.config/crush/crush.json", "crush.json", 2),
    Case("goose", "~/.config/goose/config.yaml", "goose.yaml", 2),
)


def planted(case: Case) -> list[str]:
    """The secrets of a case, made up, each another one."""
    stem = case.name.partition(".")[0]
    return [f"cnry{number}x{stem}q7Zk2mWv9Lp4".replace("-", "0") for number in range(1, case.secrets + 1)]


def content(case: Case) -> str:
    """The text of a case with its secrets in it."""
    text = (FOLDER / case.name).read_text("utf-8")
    for number, secret in enumerate(planted(case), 1):
        text = text.replace(f"CANARY{number}", secret)
    return text


FORMS = {
    "as it is": lambda text: text.encode(),
    "with a byte order mark": lambda text: b"\xef\xbb\xbf" + text.encode(),
    "with CRLF": lambda text: text.replace("\n", "\r\n").encode(),
    "without the last newline": lambda text: text.rstrip("\n").encode(),
}
"""What editors of people do to a file."""


_FIRST_OF_A_KIND = {Path(case.name).suffix: case for case in reversed(CASES)}.values()

WRITTEN = [
    *((case, "as it is") for case in CASES),
    *((case, form) for case in _FIRST_OF_A_KIND for form in FORMS if form != "as it is"),
]
"""Each case, and one of each format in the other forms, where more is done with a file than to read and to edit
it."""


class Person(NamedTuple):
    """A home and a project in a folder of their own."""

    home: Path
    project: Path

    @property
    def places(self) -> SearchPlaces:
        return SearchPlaces(self.home, self.home / ".config", self.project)

    def path(self, case: Case) -> Path:
        root, _, rest = case.path.partition("/")
        return {"~": self.home, "{config}": self.home / ".config", ".": self.project}[root] / rest

    def has(self, case: Case, form: str = "as it is") -> Path:
        """Put the file of `case` where its client has it."""
        path = self.path(case)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(FORMS[form](content(case)))
        return path


def tree(*folders: Path) -> dict[Path, bytes]:
    """Every file below `folders`."""
    return {
        path: path.read_bytes() for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()
    }


def with_a_secret(files: dict[Path, bytes], secrets: list[str]) -> list[Path]:
    """The files that hold one of `secrets`."""
    return [path for path, data in files.items() if any(secret.encode() in data for secret in secrets)]
