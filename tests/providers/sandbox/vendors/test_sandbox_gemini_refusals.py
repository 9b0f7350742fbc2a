"""Requests that the Gemini API refuses, and its words for it."""

import pytest

GEMINI_2, GEMINI_3 = "gemini-2.5-flash.sandbox", "gemini-3-pro-preview.sandbox"
HELLO = {"role": "user", "parts": [{"text": "Hello"}]}
CALL = {"functionCall": {"name": "look", "args": {}, "id": "1"}}
RESULT = {"functionResponse": {"name": "look", "response": {"output": "x"}, "id": "1"}}
SKIP = {"thoughtSignature": "skip_thought_signature_validator"}


def contents(*contents) -> dict:
    return {"contents": [*contents]}


def user(*parts) -> dict:
    return {"role": "user", "parts": [*parts]}


def model(*parts) -> dict:
    return {"role": "model", "parts": [*parts]}


def config(**config) -> dict:
    return {"generationConfig": config}


def thinking(**thinking) -> dict:
    return config(thinkingConfig=thinking)


def tools(*functions, **calling) -> dict:
    declared = {"tools": [{"functionDeclarations": [*functions]}]}
    return declared | (
        {"toolConfig": {"functionCallingConfig": calling}} if calling else {}
    )


LOOK = {"name": "look"}

# Which model is asked for what, and a part of what it says.
REFUSED = {
    "unknown parameter": (
        {"maxTokens": 5},
        'Invalid JSON payload received. Unknown name "maxTokens": Cannot find field.',
    ),
    "unknown in the configuration": (
        config(maxTokens=5),
        "Unknown name \"maxTokens\" at 'generation_config': Cannot find field.",
    ),
    "unknown in a part": (
        contents(user({"text": "x", "cache": True})),
        "Unknown name \"cache\" at 'contents[0].parts[0]'",
    ),
    "type": (
        config(topK="many"),
        "Invalid value at 'generation_config.top_k' (TYPE_INT32), 'many'",
    ),
    "role": (contents(HELLO | {"role": "assistant"}), "'contents[0].role' (TYPE_ENUM)"),
    "no contents": ({"contents": []}, "contents is not specified"),
    "no parts": (contents(user()), "contents[0].parts: contents.parts must not be"),
    "empty part": (contents(user({})), "required oneof field 'data'"),
    "empty text": (contents(user({"text": ""})), "required oneof field 'data'"),
    "two things": (
        contents(
            user({"text": "x", "inlineData": {"mimeType": "a/b", "data": "AA=="}})
        ),
        "oneof field 'data' is already set",
    ),
    "base64": (
        contents(user({"inlineData": {"mimeType": "image/png", "data": "%"}})),
        "(TYPE_BYTES)",
    ),
    "address": (
        contents(user({"fileData": {"fileUri": "file:///etc/passwd"}})),
        "Invalid or unsupported file uri",
    ),
    "call of the user": (contents(user(CALL)), "of the role model"),
    "result of the model": (contents(HELLO, model(RESULT)), "of the role user"),
    "call without a user": (
        contents(model(CALL), user(RESULT)),
        "function call turn comes immediately after a user turn",
    ),
    "result without a call": (
        contents(HELLO, model({"text": "x"}), user(RESULT)),
        "function response turn comes immediately after a function call turn",
    ),
    "call without a result": (
        contents(HELLO, model(CALL), HELLO),
        "number of function response parts is equal",
    ),
    "last call without a result": (
        contents(HELLO, model(CALL)),
        "number of function response parts is equal",
    ),
    "one result for two calls": (
        contents(HELLO, model(CALL, CALL), user(RESULT)),
        "number of function response parts is equal",
    ),
    "result of another call": (
        contents(
            HELLO,
            model(CALL),
            user({"functionResponse": RESULT["functionResponse"] | {"id": "2"}}),
        ),
        "number of function response parts is equal",
    ),
    "forged signature": (
        contents(HELLO, model({"text": "x", "thoughtSignature": "Zm9yZ2Vk"}), HELLO),
        "Thought signature is not valid.",
    ),
    "system with an image": (
        {
            "systemInstruction": {
                "parts": [{"inlineData": {"mimeType": "image/png", "data": "AA=="}}]
            }
        },
        "system_instruction.parts: only text",
    ),
    "function name": (tools({"name": "1st"}), "tools[0].function_declarations[0].name"),
    "same name": (tools(LOOK, LOOK), "Duplicate function declaration found: look"),
    "two schemas": (
        tools(LOOK | {"parameters": {}, "parametersJsonSchema": {}}),
        "only one of parameters and parameters_json_schema",
    ),
    "no schema": (
        tools(LOOK | {"parametersJsonSchema": {"type": "thing"}}),
        "schema is not valid",
    ),
    "choice without functions": (
        tools(mode="ANY"),
        "Function calling config is set without function_declarations.",
    ),
    "names without ANY": (
        tools(LOOK, mode="AUTO", allowedFunctionNames=["look"]),
        "when the mode is ANY",
    ),
    "unknown name": (
        tools(LOOK, mode="ANY", allowedFunctionNames=["listen"]),
        "must be among the function_declarations",
    ),
    "stops": (config(stopSequences=[*"abcdef"]), "at most 5 stop sequences"),
    "logprobs": (config(logprobs=1), "only be set if response_logprobs is true"),
    "media type": (config(responseMimeType="text/html"), "allowed mimetypes are"),
    "schema without JSON": (
        config(responseJsonSchema={"type": "object"}),
        "must be application/json",
    ),
    "response schema": (
        config(responseMimeType="application/json", responseSchema={"type": "THING"}),
        "response_schema: schema is not valid",
    ),
    "both schemas": (
        config(
            responseMimeType="application/json",
            responseSchema={},
            responseJsonSchema={},
        ),
        "only one of response_schema",
    ),
    "temperature": (config(temperature=3), "generation_config.temperature"),
    "level and budget": (
        thinking(thinkingLevel="low", thinkingBudget=1),
        "only one of thinking budget and thinking level",
    ),
    "thoughts of none": (
        thinking(thinkingBudget=0, includeThoughts=True),
        "only enabled when thinking is enabled",
    ),
}
OF_GEMINI_2 = {
    "level": (thinking(thinkingLevel="low"), "Thinking level is not supported"),
    "tools and JSON": (
        tools(LOOK) | config(responseMimeType="application/json"),
        "Function calling with a response mime type",
    ),
    "skipped signature": (
        contents(HELLO, model(CALL | SKIP), user(RESULT)),
        "Thought signature is not valid.",
    ),
    "media in a result": (
        contents(
            HELLO,
            model(CALL),
            user(
                {
                    "functionResponse": RESULT["functionResponse"]
                    | {
                        "parts": [
                            {"inlineData": {"mimeType": "image/png", "data": "AA=="}}
                        ]
                    }
                }
            ),
        ),
        "Multimodal function responses are not supported",
    ),
}
OF_GEMINI_3 = {
    "no signature": (
        contents(HELLO, model(CALL), user(RESULT)),
        "function call `default_api:look` , position 2.",
    ),
    "no signature in the second step": (
        contents(HELLO, model(CALL | SKIP), user(RESULT), model(CALL), user(RESULT)),
        "function call `default_api:look` , position 4.",
    ),
    "minimal thoughts of a large model": (
        thinking(thinkingLevel="minimal"),
        "MINIMAL is not supported",
    ),
    "no thoughts of a large model": (
        thinking(thinkingBudget=0),
        "This model only works in thinking mode.",
    ),
}


@pytest.mark.parametrize(
    ("model_id", "body", "message"),
    [
        pytest.param(model_id, *case, id=f"{model_id}-{name}")
        for model_id, cases in (
            ("sandbox", REFUSED),
            (GEMINI_2, OF_GEMINI_2),
            (GEMINI_3, OF_GEMINI_3),
        )
        for name, case in cases.items()
    ],
)
async def test_refuses(gemini, model_id, body, message):
    response = await gemini(model_id, **body)
    error = response.json()["error"]
    assert response.status_code == error["code"] == 400
    assert error["status"] == "INVALID_ARGUMENT"
    assert message in error["message"]


@pytest.mark.parametrize(
    "body",
    [
        contents(HELLO, model(CALL | SKIP, CALL), user(RESULT, RESULT)),
        # What was said before the user spoke last is not looked at.
        contents(HELLO, model(CALL), user(RESULT), model({"text": "x"}), HELLO),
        tools(LOOK) | config(responseMimeType="application/json"),
        thinking(thinkingLevel="HIGH", includeThoughts=True),
        {"tools": [{"googleSearch": {}}], "safetySettings": [], "cachedContent": None},
    ],
)
async def test_gemini_3_takes(gemini, body):
    assert (await gemini(GEMINI_3, **body)).status_code == 200


async def test_knows_no_cached_contents(gemini):
    response = await gemini(cachedContent="cachedContents/1")
    assert response.status_code == 403
    assert response.json()["error"]["status"] == "PERMISSION_DENIED"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"\xff"', b'{"a": "\\ud800"}'])
async def test_refuses_what_is_no_json_object(vendor, body):
    url, headers = "/v1beta/models/sandbox:generateContent", {"x-goog-api-key": "any"}
    response = await vendor.post(url, content=body, headers=headers)
    assert response.status_code == 400


@pytest.mark.parametrize("path", ["sandbox:generateContent", "sandbox", ""])
async def test_demands_a_key_in_the_header(vendor, path):
    method = "POST" if ":" in path else "GET"
    url = f"/v1beta/models/{path}".rstrip("/")
    response = await vendor.request(method, url)
    assert response.status_code == 403
    assert "unregistered callers" in response.json()["error"]["message"]

    headers = {"x-goog-api-key": "any"}
    response = await vendor.request(method, f"{url}?key=any", headers=headers)
    assert response.status_code == 400
    assert "x-goog-api-key only" in response.json()["error"]["message"]


async def test_streams_only_events(vendor):
    url, headers = (
        "/v1beta/models/sandbox:streamGenerateContent",
        {"x-goog-api-key": "any"},
    )
    response = await vendor.post(url, json=contents(HELLO), headers=headers)
    assert response.status_code == 400
    assert "alt=sse" in response.json()["error"]["message"]


@pytest.mark.parametrize("model_id", ["gemini-2.5-flash", "sandbox-2", "x.chunks-y"])
async def test_unknown_models_are_404(gemini, model_id):
    response = await gemini(model_id)
    assert response.status_code == 404
    assert f"models/{model_id} is not found" in response.json()["error"]["message"]
