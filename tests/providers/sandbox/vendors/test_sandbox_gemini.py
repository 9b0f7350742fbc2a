import json
import re

import pytest

GEMINI_2, GEMINI_3 = "gemini-2.5-flash.sandbox", "gemini-3-pro-preview.sandbox"
SCHEMA = {"type": "object", "properties": {"city": {"enum": ["Rome", "Oslo"]}}}
LOOK = {"name": "look", "parametersJsonSchema": SCHEMA}
TOOLS = {"tools": [{"functionDeclarations": [LOOK]}]}
THINK = {"generationConfig": {"thinkingConfig": {"includeThoughts": True}}}


def said(text: str, role: str = "user") -> dict:
    return {"role": role, "parts": [{"text": text}]}


def read_events(response) -> list[dict]:
    return [json.loads(line) for line in re.findall("data: (.*)", response.text)]


def parts_of(response) -> list[dict]:
    return response.json()["candidates"][0]["content"]["parts"]


async def test_answers(gemini):
    assert (await gemini()).json() == {
        "candidates": [
            {
                "content": {
                    "parts": [{"text": 'The sandbox read: "Hello there"'}],
                    "role": "model",
                },
                "finishReason": "STOP",
                "index": 0,
            }
        ],
        "usageMetadata": {
            "promptTokenCount": 2,
            "candidatesTokenCount": 5,
            "totalTokenCount": 7,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 2}],
        },
        "modelVersion": "sandbox",
        "responseId": (await gemini()).json()["responseId"],
    }


async def test_a_stream_says_the_same_in_pieces(gemini):
    response = await gemini(GEMINI_3, stream=True, **THINK)
    assert response.headers["content-type"].startswith("text/event-stream")
    events = read_events(response)
    parts = [part for e in events for part in e["candidates"][0]["content"]["parts"]]
    thoughts = "".join(part["text"] for part in parts if part.get("thought"))
    text = "".join(part["text"] for part in parts if not part.get("thought"))
    assert text == 'The sandbox read: "Hello there"'
    whole = await gemini(GEMINI_3, **THINK)
    assert parts_of(whole)[0] == {"text": thoughts, "thought": True}

    reasons = [event["candidates"][0].get("finishReason") for event in events]
    assert reasons[-1] == "STOP"
    assert not any(reasons[:-1])
    assert events[-1]["usageMetadata"] == whole.json()["usageMetadata"]
    assert events[0]["usageMetadata"]["promptTokenCount"] == 2


@pytest.mark.parametrize(
    ("config", "thought", "told"),
    [
        ({"thinkingBudget": 0}, False, False),
        ({"thinkingBudget": 1024}, True, False),
        ({"thinkingBudget": -1, "includeThoughts": True}, True, True),
    ],
)
async def test_thinks_as_it_is_told(gemini, config, thought, told):
    response = await gemini(GEMINI_2, generationConfig={"thinkingConfig": config})
    usage = response.json()["usageMetadata"]
    assert ("thoughtsTokenCount" in usage) == thought
    assert any(part.get("thought") for part in parts_of(response)) == told


@pytest.mark.parametrize("model", [GEMINI_2, GEMINI_3])
async def test_only_gemini_3_gives_calls_ids_and_signatures(gemini, model):
    response = await gemini(model, contents=[said("look")], **TOOLS)
    (part,) = parts_of(response)
    assert part["functionCall"]["name"] == "look"
    assert part["functionCall"]["args"] == {"city": "Rome"}
    assert ("id" in part["functionCall"]) == (model == GEMINI_3)
    assert ("thoughtSignature" in part) == (model == GEMINI_3)


@pytest.mark.parametrize("model", [GEMINI_2, GEMINI_3])
async def test_calls_and_results_make_a_conversation(gemini, model):
    contents = [said("look")]
    answer = parts_of(await gemini(model, contents=contents, **TOOLS))
    result = {"name": "look", "response": {"output": "Seven cats."}}
    contents += [
        {"role": "model", "parts": answer},
        {"role": "user", "parts": [{"functionResponse": result}]},
    ]
    (part,) = parts_of(await gemini(model, contents=contents, **TOOLS))
    assert part["text"] == 'The tool look answered: "Seven cats."'


@pytest.mark.parametrize(
    ("config", "names"),
    [
        ({"mode": "NONE"}, []),
        ({"mode": "ANY"}, ["look"]),
        ({"mode": "ANY", "allowedFunctionNames": ["listen"]}, ["listen"]),
    ],
)
async def test_calls_what_it_may(gemini, config, names):
    declarations = [LOOK, LOOK | {"name": "listen"}]
    response = await gemini(
        tools=[{"functionDeclarations": declarations}],
        toolConfig={"functionCallingConfig": config},
    )
    calls = [part["functionCall"] for part in parts_of(response) if "text" not in part]
    assert [call["name"] for call in calls] == names


@pytest.mark.parametrize(
    "schema",
    [
        {"responseJsonSchema": SCHEMA},
        {
            "responseSchema": {
                "type": "OBJECT",
                "properties": {"city": {"type": "STRING", "enum": ["Rome", "Oslo"]}},
            }
        },
    ],
)
async def test_obeys_schemas_of_either_kind(gemini, schema):
    config = {"responseMimeType": "application/json", **schema}
    response = await gemini(contents=[said("Oslo?")], generationConfig=config)
    assert json.loads(parts_of(response)[0]["text"]) == {"city": "Oslo"}


async def test_takes_names_in_either_case(gemini):
    response = await gemini(
        system_instruction={"parts": [{"text": "Be brief."}]},
        generation_config={"max_output_tokens": 2},
    )
    assert parts_of(response) == [{"text": "The sandbox "}]
    assert response.json()["candidates"][0]["finishReason"] == "MAX_TOKENS"
    assert response.json()["usageMetadata"]["promptTokenCount"] == 4


async def test_sees_blobs_and_files(gemini):
    parts = [
        {"text": "What is it?"},
        # Either alphabet of base64 will do.
        {"inlineData": {"mimeType": "image/png", "data": "-_-_"}},
        {"fileData": {"mimeType": "video/mp4", "fileUri": "https://a.test/film"}},
        {"fileData": {"fileUri": "gs://bucket/paper"}},
    ]
    (part,) = parts_of(await gemini(contents=[{"parts": parts}]))
    seen = "1 image (image/png) and 1 video (video/mp4) and 1 document (unknown type)"
    assert f"It saw {seen}." in part["text"]


async def test_goes_on_from_the_beginning_of_an_answer(gemini):
    contents = [said("Hello"), said("The sandbox", "model")]
    assert parts_of(await gemini(contents=contents)) == [{"text": ' read: "Hello"'}]


async def test_candidates_and_log_probabilities(gemini):
    config = {"candidateCount": 2, "responseLogprobs": True, "logprobs": 2}
    answer = (await gemini(generationConfig=config)).json()
    assert [each["index"] for each in answer["candidates"]] == [0, 1]
    assert answer["usageMetadata"]["candidatesTokenCount"] == 10
    logprobs = answer["candidates"][0]["logprobsResult"]
    assert logprobs["chosenCandidates"][0]["token"] == "The "
    assert len(logprobs["topCandidates"][0]["candidates"]) == 2
    assert len(logprobs["topCandidates"]) == len(logprobs["chosenCandidates"]) == 5


@pytest.mark.parametrize(
    ("model", "reason", "parts"),
    [
        ("content-filter", "SAFETY", 1),
        ("refusal", "STOP", 1),
        ("tool-calls", "STOP", 1),
        ("parallel-tools", "STOP", 2),
        ("reasoning", "STOP", 2),
        ("fault-no-finish", None, 1),
    ],
)
async def test_endings(gemini, model, reason, parts):
    response = await gemini(model, **TOOLS)
    assert response.json()["candidates"][0].get("finishReason") == reason
    assert len(parts_of(response)) == parts


async def test_a_filter_leaves_no_content(gemini):
    candidate = (await gemini("fault-content-filter")).json()["candidates"][0]
    assert candidate == {
        "content": {"role": "model"},
        "finishReason": "SAFETY",
        "index": 0,
    }


async def test_an_error_in_a_stream_is_no_event(gemini):
    response = await gemini("fault-mid-stream-error", stream=True)
    events, _, error = response.text.partition("\n{")
    assert '"candidates"' in events
    assert json.loads("{" + error)["error"]["status"] == "UNAVAILABLE"


async def test_the_lenient_model_ignores_what_it_does_not_know(gemini):
    assert (await gemini("lenient", maxTokens=5)).status_code == 200


@pytest.mark.parametrize(("model", "size"), [("embed-3", 3), ("sandbox", 8)])
async def test_makes_vectors(vendor, model, size):
    one = {"model": f"models/{model}", "content": {"parts": [{"text": "one"}]}}
    response = await vendor.post(
        f"/v1beta/models/{model}:batchEmbedContents",
        json={"requests": [one, one, one | {"outputDimensionality": 5}]},
        headers={"x-goog-api-key": "any"},
    )
    vectors = [each["values"] for each in response.json()["embeddings"]]
    assert [len(vector) for vector in vectors] == [size, size, 5]
    assert vectors[0] == vectors[1]
    assert sum(number**2 for number in vectors[0]) == pytest.approx(1)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"requests": []}, "at most 100 requests"),
        ({}, "required"),
        (
            {"requests": [{"model": "models/other", "content": {"parts": []}}]},
            "requests[0].model: must be equal",
        ),
        (
            {"requests": [{"model": "models/embed", "content": {"parts": []}}]},
            "requests[0].content: content is empty",
        ),
    ],
)
async def test_refuses_wrong_batches(vendor, body, message):
    response = await vendor.post(
        "/v1beta/models/embed:batchEmbedContents",
        json=body,
        headers={"x-goog-api-key": "any"},
    )
    assert response.status_code == 400
    assert message in response.json()["error"]["message"]


async def test_lists_models_page_by_page(vendor):
    vendor.headers["x-goog-api-key"] = "any"
    everything = (await vendor.get("/v1beta/models")).json()
    assert "nextPageToken" not in everything
    listed, token = [], "0"
    while token:
        query = {"pageSize": 20, "pageToken": token}
        page = (await vendor.get("/v1beta/models", params=query)).json()
        listed += page["models"]
        token = page.get("nextPageToken")
    assert listed == everything["models"]

    name = listed[0]["name"]
    assert (await vendor.get(f"/v1beta/{name}")).json() == listed[0]
    assert (await vendor.get("/v1beta/models/gpt-4")).status_code == 404


@pytest.mark.parametrize("query", ["pageSize=0", "pageToken=x", "pageToken=999"])
async def test_refuses_pages_that_there_are_not(vendor, query):
    headers = {"x-goog-api-key": "any"}
    response = await vendor.get(f"/v1beta/models?{query}", headers=headers)
    assert response.status_code == 400
    (detail,) = response.json()["error"]["details"]
    assert detail["fieldViolations"][0]["field"].startswith("page_")
