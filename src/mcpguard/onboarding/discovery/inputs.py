"""What VS Code asks for when it starts a server: the `inputs` that stand beside the servers in its files."""

from typing import Any

from msgspec import Struct

from mcpguard.onboarding.formats import TreeNode


class Input(Struct, frozen=True):
    """A value that a client asks for, under a name that entries refer to; `password`: it shows no one. With
    `options` it is one of these. `default` is what an empty answer means, "" for nothing."""

    name: str
    description: str = ""
    password: bool = False
    options: tuple[str, ...] = ()
    default: str = ""

    @property
    def question(self) -> str:
        """What to ask, and what can be answered."""
        means = "the default" if self.password else self.default
        empty = f"Enter for {means}" if self.default else "empty to skip the servers that need it"
        offered = f"{', '.join(self.options)}; " if self.options else ""
        return f"{self.description or self.name} ({offered}{empty}): "

    def meant(self, answer: str) -> str | None:
        """The value that `answer` means, "" for nothing; None where it is not one of the options."""
        if not answer.strip():
            return self.default
        if not self.options:
            return answer
        return answer.strip() if answer.strip() in self.options else None


def inputs_of(root: TreeNode) -> tuple[Input, ...]:
    """The inputs in a file of VS Code."""
    nodes = (root.at(("inputs",)), root.at(("mcp", "inputs")))
    every = [one for node in nodes if node is not None and node.kind == "list" for one in node.plain()]
    return tuple(_input(one) for one in every if isinstance(one, dict) and isinstance(one.get("id"), str))


def _input(data: dict[str, Any]) -> Input:
    offered = data.get("options")
    listed = offered if isinstance(offered, list) else []
    # An option may have a label beside its value.
    values = [one.get("value") if isinstance(one, dict) else one for one in listed]
    options = tuple(filter(None, map(_text, values)))
    default = _text(data.get("default"))
    return Input(
        data["id"],
        _text(data.get("description")),
        data.get("password") is True,
        options,
        default if not options or default in options else "",
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
