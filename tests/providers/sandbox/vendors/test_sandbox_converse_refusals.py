"""Requests that Converse refuses, and its words for it."""

import pytest

CLAUDE = "us.anthropic.claude-sonnet-4-5.sandbox"
TEXT = {"text": "Hello"}
BLOB = {"bytes": "AA=="}
POINT = {"cachePoint": {"type": "default"}}
CALL = {"toolUse": {"toolUseId": "1", "name": "look", "input": {}}}
RESULT = {"toolResult": {"toolUseId": "1", "content": [{"text": "x"}]}}
PAPER = {"document": {"name": "a", "format": "pdf", "source": BLOB}}
FORGED = {"reasoningContent": {"reasoningText": {"text": "I think", "signature": "x"}}}
SPEC = {"name": "look", "inputSchema": {"json": {"type": "object"}}}
BUDGET = {"type": "enabled", "budget_tokens": 1024}


def user(*blocks) -> dict:
    return {"role": "user", "content": [*blocks]}


def assistant(*blocks) -> dict:
    return {"role": "assistant", "content": [*blocks]}


def talk(*messages) -> dict:
    return {"messages": [*messages]}


def tools(*specs, **choice) -> dict:
    config = {"tools": [{"toolSpec": spec} for spec in specs or (SPEC,)]}
    return {"toolConfig": config | ({"toolChoice": choice} if choice else {})}


def schema(text: str) -> dict:
    structure = {"jsonSchema": {"schema": text}}
    form = {"type": "json_schema", "structure": structure}
    return {"outputConfig": {"textFormat": form}}


def thinking(**more) -> dict:
    return {"additionalModelRequestFields": {"thinking": BUDGET}} | more


# What is sent, and a part of what is said about it.
REFUSED = {
    "unknown parameter": ({"maxTokens": 5}, "extraneous key [maxTokens]"),
    "unknown in a block": (
        talk(user(TEXT | {"cache": True})),
        "extraneous key [messages.0.content.0.cache]",
    ),
    "snake case": ({"inference_config": {}}, "extraneous key [inference_config]"),
    "type": (
        {"inferenceConfig": {"maxTokens": "many"}},
        "Value at 'inferenceConfig.maxTokens' failed to satisfy constraint",
    ),
    "temperature": (
        {"inferenceConfig": {"temperature": 1.5}},
        "Member must have value less than or equal to 1",
    ),
    "missing": (talk({"role": "user"}), "Member must not be null"),
    "role": (talk({"role": "system", "content": []}), "enum value set"),
    "two members": (
        talk(user(TEXT | {"image": {"format": "png", "source": BLOB}})),
        "Exactly one member must be set",
    ),
    "base64": (
        talk(user({"image": {"format": "png", "source": {"bytes": "%"}}})),
        "valid base64",
    ),
    "address": (
        talk(
            user(
                {
                    "image": {
                        "format": "png",
                        "source": {"s3Location": {"uri": "https://a.test"}},
                    }
                }
            )
        ),
        "regular expression pattern",
    ),
    "name of a document": (
        talk(user(TEXT, {"document": PAPER["document"] | {"name": "a_b"}})),
        "regular expression pattern",
    ),
    "no messages": (talk(), "A conversation must start with a user message."),
    "assistant first": (
        talk(assistant(TEXT), user(TEXT)),
        "A conversation must start with a user message.",
    ),
    "two of a role": (
        talk(user(TEXT), user(TEXT)),
        "A conversation must alternate between user and assistant roles.",
    ),
    "no content": (talk(user()), "The content field in the Message object"),
    "blank": (talk(user({"text": " "})), "at messages.0.content.0 is blank."),
    "call of the user": (talk(user(CALL)), "cannot be in a message of user"),
    "image of the assistant": (
        talk(user(TEXT), assistant({"image": {"format": "png", "source": BLOB}})),
        "cannot be in a message of assistant",
    ),
    "document without text": (talk(user(PAPER)), "has a document and no text"),
    "documents of one name": (
        talk(user(TEXT, PAPER, PAPER)),
        "Duplicate document names",
    ),
    "call without a result": (
        tools() | talk(user(TEXT), assistant(CALL), user(TEXT)),
        "Expected toolResult blocks at messages.2.content for the following Ids: 1",
    ),
    "last call without a result": (
        tools() | talk(user(TEXT), assistant(CALL)),
        "Expected toolResult blocks at messages.2.content for the following Ids: 1",
    ),
    "result without a call": (
        tools() | talk(user(TEXT), assistant(TEXT), user(RESULT)),
        "exceeds the number of toolUse blocks of previous turn",
    ),
    "two results of a call": (
        tools() | talk(user(TEXT), assistant(CALL), user(RESULT, RESULT)),
        "exceeds the number of toolUse blocks of previous turn",
    ),
    "text before results": (
        tools() | talk(user(TEXT), assistant(CALL), user(TEXT, RESULT)),
        "must come first",
    ),
    "no tools": (
        talk(user(TEXT), assistant(CALL), user(RESULT)),
        "The toolConfig field must be defined",
    ),
    "blank end": (
        talk(user(TEXT), assistant({"text": "x "})),
        "cannot end with trailing whitespace",
    ),
    "empty tools": ({"toolConfig": {"tools": []}}, "toolConfig.tools"),
    "nothing but a cache point": (
        {"toolConfig": {"tools": [POINT]}},
        "A cachePoint cannot be the first",
    ),
    "same name": (tools(SPEC, SPEC), "look is used more than once"),
    "type of a schema": (
        tools(SPEC | {"inputSchema": {"json": {"type": "array"}}}),
        "must be one of the following: object",
    ),
    "schema": (
        tools(SPEC | {"inputSchema": {"json": {"type": "object", "required": "a"}}}),
        "must match JSON Schema draft 2020-12",
    ),
    "loose schema": (tools(SPEC | {"strict": True}), "additionalProperties"),
    "unknown choice": (tools(tool={"name": "listen"}), "is not in toolConfig.tools"),
    "form that is no JSON": (schema("{"), "is not JSON"),
    "form that is no schema": (schema('{"type": 5}'), "must match JSON Schema"),
    "loose form": (schema('{"type": "object"}'), "additionalProperties"),
    "thoughts": (talk(user(TEXT), assistant(FORGED)), "doesn't support"),
}
BY_CLAUDE = {
    "unknown field": (
        {"additionalModelRequestFields": {"topK": 5}},
        "The model returned the following errors: topK",
    ),
    "forged thoughts": (
        talk(user(TEXT), assistant(FORGED), user(TEXT)),
        "messages.1.content.0: Invalid `signature`",
    ),
    "blank stop": ({"inferenceConfig": {"stopSequences": [" "]}}, "non-whitespace"),
    "budget": (
        thinking(inferenceConfig={"maxTokens": 1024}),
        "`max_tokens` must be greater",
    ),
    "small budget": (
        {"additionalModelRequestFields": {"thinking": BUDGET | {"budget_tokens": 1}}},
        "greater than or equal to 1024",
    ),
    "temperature": (
        thinking(inferenceConfig={"temperature": 0.5}),
        "`temperature` may only be set to 1",
    ),
    "top_p": (thinking(inferenceConfig={"topP": 0.5}), "`top_p` must be at least 0.95"),
    "top_k": (
        {"additionalModelRequestFields": {"thinking": BUDGET, "top_k": 5}},
        "`top_k` must be unset",
    ),
    "forced call": (thinking(**tools(any={})), "when tool_choice forces tool use"),
    "call without thoughts": (
        thinking(**tools(), **talk(user(TEXT), assistant(CALL), user(RESULT))),
        "must start with a thinking block",
    ),
    "five cache points": (
        talk(user(TEXT, *[POINT] * 5)),
        "A maximum of 4 cachePoint blocks may be provided. Found 5.",
    ),
    "cache point first": (talk(user(POINT, TEXT)), "has nothing before it"),
}


@pytest.mark.parametrize(
    ("model", "body", "message"),
    [
        pytest.param(model, *case, id=f"{model}-{name}")
        for model, cases in (("sandbox", REFUSED), (CLAUDE, BY_CLAUDE))
        for name, case in cases.items()
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_refuses(converse, model, body, message, stream):
    response = await converse(model, stream, **body)
    assert response.status_code == 400
    assert response.headers["x-amzn-errortype"] == "ValidationException"
    assert message in response.json()["message"]


@pytest.mark.parametrize(
    "body",
    [
        thinking(),
        {"additionalModelRequestFields": {"thinking": {"type": "adaptive"}}},
        {"requestMetadata": {"a": "b"}, "serviceTier": {"type": "flex"}},
        talk(user(TEXT, POINT), assistant(TEXT)),
        {"toolConfig": {"tools": [{"toolSpec": SPEC}, POINT]}},
    ],
)
async def test_claude_takes(converse, body):
    assert (await converse(CLAUDE, **body)).status_code == 200


@pytest.mark.parametrize(
    ("model", "in_tools", "status"),
    [
        (CLAUDE, True, 200),
        ("amazon.nova-pro.sandbox", False, 200),
        ("amazon.nova-pro.sandbox", True, 403),
        ("sandbox", False, 403),
    ],
)
async def test_few_models_keep_a_cache(converse, model, in_tools, status):
    body = talk(user(TEXT, POINT))
    if in_tools:
        body |= {"toolConfig": {"tools": [{"toolSpec": SPEC}, POINT]}}
    assert (await converse(model, **body)).status_code == status


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"\xff"', b'{"a": "\\ud800"}'])
async def test_refuses_what_is_no_json_object(vendor, body):
    headers = {"authorization": "Bearer any"}
    response = await vendor.post(
        "/model/sandbox/converse", content=body, headers=headers
    )
    assert response.status_code == 400


SCOPE = "20250101/eu-west-1/bedrock/aws4_request"
SIGNED = "host;x-amz-date"


def signature(scope: str = SCOPE, signed: str = SIGNED, value: str = "0" * 64) -> dict:
    form = f"Credential=AKID/{scope}, SignedHeaders={signed}, Signature={value}"
    authorization = f"AWS4-HMAC-SHA256 {form}"
    return {"authorization": authorization, "x-amz-date": "20250101T000000Z"}


@pytest.mark.parametrize(
    ("headers", "error"),
    [
        ({"authorization": "Bearer any"}, None),
        (signature(), None),
        ({}, "MissingAuthenticationTokenException"),
        ({"authorization": "Bearer"}, "IncompleteSignatureException"),
        ({"authorization": "Basic abc"}, "IncompleteSignatureException"),
        (signature(value="short"), "IncompleteSignatureException"),
        (signature(SCOPE.replace("bedrock", "s3")), "IncompleteSignatureException"),
        (signature(SCOPE.replace("0101", "0102")), "InvalidSignatureException"),
        (signature(signed="host"), "InvalidSignatureException"),
        (signature(signed=f"{SIGNED};x-amz-more"), "InvalidSignatureException"),
    ],
)
async def test_demands_a_key_or_a_signature(vendor, headers, error):
    response = await vendor.post(
        "/model/sandbox/converse", json=talk(user(TEXT)), headers=headers
    )
    assert response.status_code == (403 if error else 200)
    assert response.headers.get("x-amzn-errortype") == error
