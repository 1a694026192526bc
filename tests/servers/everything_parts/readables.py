"""Resources, prompts and completion."""

import json

from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS

from .call import Call, Json, schema, text
from .inputs import WORD, elicitation
from .media import PICTURE
from .tools import WATCHED, embedded, picture

RESOURCE_NOT_FOUND = -32002  # Of the legacy revisions; 2026-07-28 says invalid params (SEP-2164).
TEMPLATE = "test://template/{id}/data"
CITIES = ("paris", "park city", "parma", "rome")


def listed(kind: str, shown: set[str]) -> list[Json]:
    """The resources or prompts of a list, the dynamic one last if it is shown."""
    if kind == "prompts":
        return PROMPTS + (
            [{"name": "test_dynamic_prompt", "description": "Comes and goes"}] if "prompt" in shown else []
        )
    return RESOURCES + ([{"uri": "test://dynamic", "name": "dynamic"}] if "resource" in shown else [])


RESOURCES: list[Json] = [
    {"uri": "test://static-text", "name": "static text", "mimeType": "text/plain"},
    {"uri": "test://static-binary", "name": "static binary", "mimeType": "image/png"},
    {"uri": WATCHED, "name": "watched", "mimeType": "text/plain"},
]
TEMPLATES: list[Json] = [{"uriTemplate": TEMPLATE, "name": "template", "mimeType": "application/json"}]


def _argument(name: str) -> Json:
    return {"name": name, "description": f"the {name}", "required": True}


PROMPTS: list[Json] = [
    {"name": "test_simple_prompt", "description": "No arguments"},
    {
        "name": "test_prompt_with_arguments",
        "description": "Two arguments",
        "arguments": [_argument("arg1"), _argument("arg2")],
    },
    {
        "name": "test_prompt_with_embedded_resource",
        "description": "A resource inside",
        "arguments": [_argument("resourceUri")],
    },
    {"name": "test_prompt_with_image", "description": "An image inside"},
    {"name": "test_input_required_result_prompt", "description": "Needs an answer of the user"},
]


async def read(call: Call, uri: str) -> Json:
    """The contents of a resource; an error when there is none."""
    words = {
        "test://static-text": "This is the content of the static text resource.",
        "test://dynamic": "dynamic",
    }
    words[WATCHED] = call.ctx.lifespan_context["watched"]
    if uri in words:
        return {"contents": [{"uri": uri, "mimeType": "text/plain", "text": words[uri]}]}
    if uri == "test://static-binary":
        return {"contents": [{"uri": uri, "mimeType": "image/png", "blob": PICTURE}]}
    if uri.startswith("test://template/") and uri.endswith("/data"):
        name = uri.split("/")[3]
        data = json.dumps({"id": name, "templateTest": True, "data": f"Data for ID: {name}"})
        return {"contents": [{"uri": uri, "mimeType": "application/json", "text": data}]}
    code = INVALID_PARAMS if call.modern else RESOURCE_NOT_FOUND
    raise MCPError(code, "Resource not found", {"uri": uri})


async def prompt(call: Call, name: str) -> Json:
    """The messages of a prompt; an error when there is none."""
    given = call.arguments
    if name == "test_simple_prompt":
        blocks = [text("This is a simple prompt for testing.")]
    elif name == "test_prompt_with_arguments":
        blocks = [text(f"Prompt with arguments: arg1='{given['arg1']}', arg2='{given['arg2']}'")]
    elif name == "test_prompt_with_embedded_resource":
        words = "Embedded resource content for testing."
        blocks = [embedded(given["resourceUri"], words), text("Please process the embedded resource above.")]
    elif name == "test_prompt_with_image":
        blocks = [picture(), text("Please analyze the image above.")]
    elif name == "test_input_required_result_prompt":
        asked = elicitation("What context should the prompt use?", schema({"context": WORD}, ("context",)))
        answer = (await call.ask({"user_context": asked}))["user_context"]
        blocks = [text(f"The context is {(answer.get('content') or {}).get('context')}.")]
    else:
        raise MCPError(INVALID_PARAMS, f"Unknown prompt: {name}")
    return {"messages": [{"role": "user", "content": block} for block in blocks]}


def completion(value: str) -> Json:
    """The cities that begin with `value`."""
    found = [city for city in CITIES if city.startswith(value)]
    return {"completion": {"values": found, "total": len(found), "hasMore": False}}
