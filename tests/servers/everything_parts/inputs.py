"""Tools that need an answer from the client: elicitation, sampling and roots, in one round or several."""

import json

from .call import Call, Json, schema, tool

WORD = {"type": "string"}
YES = schema({"ok": {"type": "boolean"}}, ("ok",))


def elicitation(message: str, wanted: Json) -> Json:
    """A request for a form."""
    return {"method": "elicitation/create", "params": {"message": message, "requestedSchema": wanted}}


def sampling(prompt: str, tokens: int = 100) -> Json:
    """A request for a completion of a model."""
    message = {"role": "user", "content": {"type": "text", "text": prompt}}
    return {"method": "sampling/createMessage", "params": {"messages": [message], "maxTokens": tokens}}


NAME = elicitation("What is your name?", schema({"name": WORD}, ("name",)))
ROOTS = {"method": "roots/list", "params": {}}
CONFIRM = elicitation("Please confirm", YES)


async def form(call: Call, message: str, wanted: Json) -> str:
    """Ask for a form, and say what came back."""
    answer = (await call.ask({"answer": elicitation(message, wanted)}))["answer"]
    content = json.dumps(answer.get("content", {}), sort_keys=True)
    return f"User response: action={answer['action']}, content={content}"


@tool("test_elicitation", "Asks the user", schema({"message": WORD}, ("message",)))
async def _elicitation(call: Call) -> str:
    wanted = schema({"username": WORD, "email": WORD}, ("username", "email"))
    return await form(call, call.arguments["message"], wanted)


@tool("test_streaming_elicitation", "Asks the user over the response stream")
async def _streaming(call: Call) -> str:
    return await form(call, "Which way?", schema({"way": WORD}))


@tool("test_sampling", "Asks the client's model", schema({"prompt": WORD}, ("prompt",)))
async def _sampling(call: Call) -> str:
    answer = (await call.ask({"answer": sampling(call.arguments["prompt"])}))["answer"]
    return f"LLM response: {answer['content']['text']}"


@tool("test_elicitation_sep1034_defaults", "Asks for a form with a default of each type")
async def _defaults(call: Call) -> str:
    fields = {
        "name": {"type": "string", "default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
        "verified": {"type": "boolean", "default": True},
    }
    return await form(call, "Please check these values", schema(fields))


@tool("test_elicitation_sep1330_enums", "Asks for a form with a choice of each kind")
async def _enums(call: Call) -> str:
    def titled(*names: str) -> list[Json]:
        return [{"const": name, "title": name.title()} for name in names]

    old = {"enum": ["opt1", "opt2", "opt3"], "enumNames": ["Option One", "Option Two", "Option Three"]}
    three = ["option1", "option2", "option3"]
    fields = {
        "untitledSingle": {"type": "string", "enum": three},
        "titledSingle": {"type": "string", "oneOf": titled("value1", "value2", "value3")},
        "legacyEnum": {"type": "string", **old},
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": three}},
        "titledMulti": {"type": "array", "items": {"anyOf": titled("value1", "value2", "value3")}},
    }
    return await form(call, "Please choose", schema(fields))


@tool("test_input_required_result_elicitation", "Needs a name")
async def _one_form(call: Call) -> str:
    answer = (await call.ask({"user_name": NAME}))["user_name"]
    return f"Hello, {(answer.get('content') or {}).get('name', 'stranger')}!"


@tool("test_input_required_result_sampling", "Needs a completion")
async def _one_sampling(call: Call) -> str:
    asked = {"capital_question": sampling("What is the capital of France?")}
    return f"The model said: {(await call.ask(asked))['capital_question']['content']['text']}"


@tool("test_input_required_result_list_roots", "Needs the client's roots")
async def _one_roots(call: Call) -> str:
    roots = (await call.ask({"client_roots": ROOTS}))["client_roots"]["roots"]
    return f"{len(roots)} roots: {', '.join(root['uri'] for root in roots)}"


@tool("test_input_required_result_multiple_inputs", "Needs a form, a completion and roots at once")
async def _three(call: Call) -> str:
    asked = {"user_name": NAME, "greeting": sampling("Say a greeting", 50), "client_roots": ROOTS}
    await call.ask(asked, "three")
    return "all three answers came"


@tool("test_input_required_result_request_state", "Keeps a state between two rounds")
async def _kept_state(call: Call) -> str:
    await call.ask({"confirm": CONFIRM}, "kept")
    return "state-ok" if call.state == "kept" or not call.modern else "the state was lost"


@tool("test_input_required_result_tampered_state", "Keeps a state that nobody may change")
async def _sealed_state(call: Call) -> str:
    await call.ask({"confirm": CONFIRM}, "sealed")
    return "state-ok"


@tool("test_input_required_result_multi_round", "Needs two answers, one after the other")
async def _two_rounds(call: Call) -> str:
    colour = elicitation("Step 2: What is your favorite color?", schema({"color": WORD}, ("color",)))
    if call.state is None:
        first = (await call.ask({"step1": NAME}, '{"step": 1}'))["step1"]
        if call.modern:  # A first round with answers but no state.
            await call.ask({"step2": colour}, json.dumps({"step": 2, "name": first["content"]["name"]}))
        name = first["content"]["name"]
    elif json.loads(call.state)["step"] == 1:
        name = (await call.ask({"step1": NAME}, call.state))["step1"]["content"]["name"]
    else:
        name = json.loads(call.state)["name"]
    state = json.dumps({"step": 2, "name": name})
    second = (await call.ask({"step2": colour}, state))["step2"]
    return f"{name} likes {second['content']['color']}"


@tool("test_input_required_result_capabilities", "Asks for what the client can do, and nothing else")
async def _by_capability(call: Call) -> str:
    known = {"sampling": sampling("Say hello", 50), "elicitation": NAME, "roots": ROOTS}
    await call.ask({name: request for name, request in known.items() if call.has(name)}, "by capability")
    return "every capability was used"
