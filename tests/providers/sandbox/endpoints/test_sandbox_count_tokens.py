import pytest
from anthropic import BadRequestError, OverloadedError

MESSAGES = [{"role": "user", "content": "four words of text"}]


async def test_counts_tokens(anthropic):
    count = await anthropic.messages.count_tokens(
        model="sandbox", messages=MESSAGES, system="two more"
    )
    assert count.input_tokens == 6


async def test_counts_what_messages_report(anthropic):
    count = await anthropic.messages.count_tokens(model="sandbox", messages=MESSAGES)
    message = await anthropic.messages.create(
        model="sandbox", messages=MESSAGES, max_tokens=100
    )
    assert message.usage.input_tokens == count.input_tokens


@pytest.mark.parametrize("field", ["max_tokens", "stream", "temperature"])
async def test_refuses_what_only_messages_have(anthropic, field):
    with pytest.raises(BadRequestError, match=f"{field}: Extra inputs"):
        await anthropic.messages.count_tokens(
            model="sandbox", messages=MESSAGES, extra_body={field: 1}
        )


@pytest.mark.parametrize("body", [b"", b"[]", b"{}"])
async def test_refuses_other_bodies(client, body):
    headers = {"x-api-key": "any", "anthropic-version": "2023-06-01"}
    response = await client.post(
        "/messages/count_tokens", content=body, headers=headers
    )
    assert response.status_code == 400
    assert response.json()["error"]["type"] == "invalid_request_error"


async def test_fails_as_other_endpoints_do(anthropic):
    with pytest.raises(OverloadedError):
        await anthropic.messages.count_tokens(model="fault-529", messages=MESSAGES)


async def test_demands_credentials(client):
    response = await client.post("/messages/count_tokens", json={})
    assert response.status_code == 401
