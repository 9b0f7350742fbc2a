"""Amazon's own client converses with the sandbox."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import closing

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, EventStreamError

CLAUDE = "us.anthropic.claude-sonnet-4-5.sandbox"
PROFILE = f"arn:aws:bedrock:eu-west-1:123456789012:inference-profile/{CLAUDE}"
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string", "enum": ["Rome", "Oslo"]}},
    "required": ["city"],
    "additionalProperties": False,
}
LOOK = {"toolSpec": {"name": "look", "inputSchema": {"json": SCHEMA}}}
TOOLS = {"toolConfig": {"tools": [LOOK]}}
BUDGET = {"thinking": {"type": "enabled", "budget_tokens": 1024}}
THINK = {"additionalModelRequestFields": BUDGET}


def user(*blocks) -> dict:
    return {"role": "user", "content": [*blocks]}


HELLO = user({"text": "Hello there"})


@pytest.fixture
async def boto(root) -> AsyncIterator[Callable]:
    """Calls an operation of the client, whose requests are signed."""
    client = boto3.client(
        "bedrock-runtime",
        endpoint_url=root,
        region_name="eu-west-1",
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="a-secret",
        config=Config(retries={"total_max_attempts": 1}),
    )

    async def boto(operation: str, model: str = "sandbox", *messages, **more) -> dict:
        def call() -> dict:
            asked = {"modelId": model, "messages": [*messages] or [HELLO], **more}
            answer = getattr(client, operation)(**asked)
            if operation == "converse":
                return answer
            with closing(answer["stream"]) as stream:
                events = [*stream]
            return {"message": put_together(events), "events": events}

        return await asyncio.to_thread(call)

    yield boto
    client.close()


def put_together(events: list[dict]) -> dict:
    """Does what programs do with the events of a stream."""
    blocks: dict[int, dict] = {}
    for event in events:
        if start := event.get("contentBlockStart"):
            blocks[start["contentBlockIndex"]] = dict(start["start"])
        if delta := event.get("contentBlockDelta"):
            block = blocks.setdefault(delta["contentBlockIndex"], {})
            merge(block, delta["delta"])
    return {"role": "assistant", "content": [blocks[index] for index in sorted(blocks)]}


def merge(block: dict, delta: dict) -> None:
    for key, value in delta.items():
        if isinstance(value, dict):
            merge(block.setdefault(key, {}), value)
        else:
            block[key] = block.get(key, value[:0]) + value


@pytest.mark.parametrize("model", ["sandbox", CLAUDE, PROFILE])
async def test_answers(boto, model):
    answer = await boto("converse", model)
    del answer["ResponseMetadata"]
    assert answer == {
        "output": {
            "message": {
                "role": "assistant",
                "content": [{"text": 'The sandbox read: "Hello there"'}],
            }
        },
        "stopReason": "end_turn",
        "usage": {
            "inputTokens": 2,
            "outputTokens": 5,
            "totalTokens": 7,
            "cacheReadInputTokens": 0,
            "cacheWriteInputTokens": 0,
        },
        "metrics": {"latencyMs": 1},
    }


async def test_a_stream_says_the_same_in_pieces(boto):
    whole = await boto("converse", CLAUDE, **THINK)
    streamed = await boto("converse_stream", CLAUDE, **THINK)
    thought, text = streamed["message"]["content"]
    reasoning = whole["output"]["message"]["content"][0]["reasoningContent"]
    assert thought["reasoningContent"] == reasoning["reasoningText"]
    assert text == {"text": 'The sandbox read: "Hello there"'}

    events = streamed["events"]
    names = [name for event in events for name in event]
    assert names[0] == "messageStart"
    assert names[-2:] == ["messageStop", "metadata"]
    # Only calls announce themselves.
    assert "contentBlockStart" not in names
    assert names.count("contentBlockStop") == 2
    assert events[-1]["metadata"]["usage"] == whole["usage"]


async def test_only_claude_tells_its_thoughts(boto):
    for model, blocks in (("reasoning", 2), ("redacted-thinking", 1)):
        answer = await boto("converse", model)
        assert len(answer["output"]["message"]["content"]) == blocks
    answer = await boto("converse", "anthropic.claude-opus-4-5.redacted-thinking")
    thought = answer["output"]["message"]["content"][0]["reasoningContent"]
    assert isinstance(thought["redactedContent"], bytes)


@pytest.mark.parametrize("operation", ["converse", "converse_stream"])
async def test_calls_and_results_make_a_conversation(boto, operation):
    messages = [user({"text": "Look at Oslo, with thoughts."})]
    answer = await boto("converse", CLAUDE, *messages, **TOOLS, **THINK)
    message = answer["output"]["message"]
    call = message["content"][-1]["toolUse"]
    assert (call["name"], call["input"]) == ("look", {"city": "Oslo"})
    assert answer["stopReason"] == "tool_use"

    streamed = await boto("converse_stream", CLAUDE, *messages, **TOOLS, **THINK)
    piece = streamed["message"]["content"][-1]["toolUse"]
    assert piece == call | {
        "input": '{"city": "Oslo"}',
        "toolUseId": piece["toolUseId"],
    }

    result = {"toolUseId": call["toolUseId"], "content": [{"json": {"rain": True}}]}
    messages += [message, user({"toolResult": result})]
    answer = await boto(operation, CLAUDE, *messages, **TOOLS, **THINK)
    said = answer["message"] if "message" in answer else answer["output"]["message"]
    text = said["content"][-1]["text"]
    assert text == "The tool look answered: \"{'rain': True}\""


async def test_sees_media(boto):
    pixel = {"bytes": b"a pixel"}
    message = user(
        {"text": "Look."},
        {"image": {"format": "png", "source": pixel}},
        {"document": {"name": "A (b)", "format": "csv", "source": pixel}},
        {"audio": {"format": "wav", "source": pixel}},
        {
            "video": {
                "format": "mp4",
                "source": {"s3Location": {"uri": "s3://abc/film"}},
            }
        },
    )
    answer = await boto("converse", "sandbox", message)
    seen = (
        "1 image (image/png) and 1 document (text/csv) and 1 audio (audio/wav) "
        "and 1 video (video/mp4)"
    )
    assert f"It saw {seen}." in answer["output"]["message"]["content"][0]["text"]


async def test_obeys_schemas(boto):
    schema = '{"type": "object", "properties": {"n": {"type": "integer"}}, '
    definition = {"schema": schema + '"additionalProperties": false}'}
    form = {"type": "json_schema", "structure": {"jsonSchema": definition}}
    answer = await boto("converse", outputConfig={"textFormat": form})
    assert answer["output"]["message"]["content"] == [{"text": '{"n": 1}'}]


async def test_tells_which_stop_sequence_it_was(boto):
    more = {
        "inferenceConfig": {"stopSequences": ["read"]},
        "additionalModelResponseFieldPaths": ["/stop_sequence"],
    }
    answer = await boto("converse", CLAUDE, **more)
    assert answer["stopReason"] == "stop_sequence"
    assert answer["additionalModelResponseFields"] == {"stop_sequence": "read"}
    assert "additionalModelResponseFields" not in await boto("converse", **more)


async def test_guardrails_look_at_what_is_guarded(boto):
    guard = {"guardrailIdentifier": "abc", "guardrailVersion": "DRAFT"}
    message = user({"guardContent": {"text": {"text": "Hello"}}})
    answer = await boto("converse", "sandbox", message, guardrailConfig=guard)
    assert answer["stopReason"] == "end_turn"
    assert 'read: "Hello"' in answer["output"]["message"]["content"][0]["text"]

    answer = await boto("converse", "content-filter", guardrailConfig=guard)
    assert answer["stopReason"] == "guardrail_intervened"
    assert (await boto("converse", "content-filter"))["stopReason"] == (
        "content_filtered"
    )


async def test_reports_what_stands_before_a_cache_point_as_cached(boto):
    point = {"cachePoint": {"type": "default"}}
    system = [{"text": "Be brief."}, point]
    message = user({"text": "Hello"}, point, {"text": "there, you"})
    usage = (await boto("converse", CLAUDE, message, system=system))["usage"]
    assert (usage["inputTokens"], usage["cacheReadInputTokens"]) == (2, 3)
    assert usage["totalTokens"] == 5 + usage["outputTokens"]


@pytest.mark.parametrize(
    ("model", "status", "code"),
    [
        ("fault-400", 400, "ValidationException"),
        ("fault-400-context-length", 400, "ValidationException"),
        ("fault-401", 401, "UnrecognizedClientException"),
        ("fault-403", 403, "AccessDeniedException"),
        ("fault-no-credit", 403, "AccessDeniedException"),
        ("fault-404", 404, "ResourceNotFoundException"),
        ("fault-408", 408, "ModelTimeoutException"),
        ("fault-429", 429, "ThrottlingException"),
        ("fault-500", 500, "InternalServerException"),
        ("fault-529", 529, "ServiceUnavailableException"),
        ("amazon.titan", 400, "ValidationException"),
    ],
)
@pytest.mark.parametrize("operation", ["converse", "converse_stream"])
async def test_errors_are_the_clients_exceptions(boto, operation, model, status, code):
    with pytest.raises(ClientError) as caught:
        await boto(operation, model)
    response = caught.value.response
    assert response["Error"]["Code"] == code
    assert response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert response["ResponseMetadata"]["HTTPHeaders"]["x-amzn-requestid"]


@pytest.mark.parametrize("model", ["fault-first-event-error", "fault-mid-stream-error"])
async def test_an_error_in_a_stream_is_an_exception(boto, model):
    with pytest.raises(EventStreamError, match="serviceUnavailableException"):
        await boto("converse_stream", model)


async def test_noise_does_not_disturb_the_client(boto):
    quiet, noisy = [
        await boto("converse_stream", model) for model in ("sandbox", "noisy-stream")
    ]
    assert noisy == quiet


async def test_the_lenient_model_ignores_what_it_does_not_know(converse):
    assert (await converse("lenient", maxTokens=5)).status_code == 200
