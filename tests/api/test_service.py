import pytest

from llm_proxy import __version__
from llm_proxy.api.schemas import HealthAnswer, ModelsAnswer, ReadyAnswer


@pytest.mark.parametrize("path", ["/health", "/api/v1/health"])
async def test_health_says_what_runs_where(client, upstream, path):
    answer = await client(headers={}).get(path)
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "ok",
        "version": __version__,
        "environment": "testing",
    }
    assert HealthAnswer.model_validate_json(answer.content, strict=True)
    assert upstream.sent == []


async def test_a_process_that_answers_is_alive(client):
    answer = await client(headers={}).get("/livez")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


async def test_readiness_ends_with_the_drain_and_life_does_not(build, client):
    app = build()
    caller = client(app, headers={})
    ready = await caller.get("/readyz")
    assert (ready.status_code, ready.json()) == (200, {"status": "ready"})
    assert ReadyAnswer.model_validate_json(ready.content, strict=True)

    app.state.drain.begin()
    draining = await caller.get("/readyz")
    assert draining.status_code == 503
    assert draining.json()["error"]["message"] == "The service is shutting down"
    assert draining.headers["retry-after"] == "1"
    assert (await caller.get("/livez")).status_code == 200


async def test_the_end_of_the_application_is_a_drain(build):
    app = build()
    async with app.router.lifespan_context(app):
        assert not app.state.drain.is_draining
    assert app.state.drain.is_draining


async def test_models_are_those_that_are_configured(client, tmp_path):
    (tmp_path / "llm-proxy.yaml").write_text(
        "models: {smart: {deployments: [{model: openai/gpt-4o}]}}"
    )
    answer = await client(anthropic_api_key=None).get("/api/v1/models")
    assert answer.status_code == 200
    body = ModelsAnswer.model_validate_json(answer.content, strict=True)
    assert body.meta == {"requestId": answer.headers["x-request-id"]}
    models = {model.id: model for model in body.data}
    assert models["llm-proxy/smart"].model_dump() == {
        "id": "llm-proxy/smart",
        "provider": "llm-proxy",
        "model": "smart",
        "default": False,
    }
    assert models["openai/gpt-4"].default
    assert "anthropic" not in {model.provider for model in body.data}


async def test_models_are_for_callers_with_a_token(client):
    assert (await client(headers={}).get("/api/v1/models")).status_code == 401
