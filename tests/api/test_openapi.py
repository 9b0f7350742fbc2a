import json
import subprocess
import sys
from pathlib import Path

import pytest

from llm_proxy.api.openapi import main
from llm_proxy.api.schemas import ChatBody, WebhookBody

ROOT = Path(__file__).parents[2]
COMMITTED = ROOT / "docs" / "openapi.json"
DOCUMENT = json.loads(COMMITTED.read_text(encoding="utf-8"))
OPERATIONS = {
    (method.upper(), path): operation
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
}
operations = pytest.mark.parametrize(
    ("called", "operation"),
    OPERATIONS.items(),
    ids=[" ".join(called) for called in OPERATIONS],
)
# What reads the database, or another store.
STORED = tuple(
    f"/api/v1/{each}" for each in ("audit", "auth/token", "cache", "keys", "usage")
)
ERROR = {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorAnswer"}}}


def test_the_committed_document_is_what_the_code_says():
    done = subprocess.run(
        [sys.executable, "-m", "llm_proxy.api.openapi", "--check"],
        cwd=ROOT,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, "run: python -m llm_proxy.api.openapi --write"


def test_an_old_document_is_found_out_and_replaced(tmp_path):
    file = tmp_path / "openapi.json"
    file.write_text(COMMITTED.read_text(encoding="utf-8").replace("llm-proxy", "old"))
    assert main(["--check", str(file)]) == 1
    assert main(["--write", str(file)]) == 0
    assert main(["--check", str(file)]) == 0
    assert json.loads(file.read_text(encoding="utf-8")) == DOCUMENT


async def test_the_service_serves_the_same_document(client):
    answer = await client(headers={}).get("/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == DOCUMENT


def test_operation_ids_are_unique():
    ids = [operation["operationId"] for operation in OPERATIONS.values()]
    assert len(ids) == len(set(ids)) == len(OPERATIONS)


@operations
async def test_every_operation_is_served(client, called, operation):
    answer = await client(headers={}).request(*called)
    assert answer.status_code not in (404, 405)


@operations
def test_every_operation_documents_its_errors(called, operation):
    path = called[1]
    told = {status for status in operation["responses"] if status[0] != "2"}
    expected = {"429", "500"}
    if "security" in operation:
        expected |= {"401", "403"}
    if "requestBody" in operation:
        expected |= {"400", "404", "413", "415"}
    if path.endswith(("/chat", "/webhook")):
        expected |= {"402", "409", "422", "502", "503", "504"}
    if path.startswith(STORED):
        expected |= {"400", "404", "503"}
    if path == "/readyz":
        expected |= {"503"}
    if path.startswith("/api/v1/traces"):
        expected |= {"404"}
    assert told == expected
    for status in told:
        assert operation["responses"][status]["content"] == ERROR


@operations
async def test_operations_that_need_a_token_say_so(client, called, operation):
    answer = await client(headers={}).request(*called)
    # The one whose need depends on the environment says so as well.
    needs_token = answer.status_code == 401 or called[1] == "/metrics"
    schemes = DOCUMENT["components"]["securitySchemes"].keys()
    assert operation.get("security", []) == [
        {scheme: []} for scheme in ("apiToken", "apiKey", "bearer") if needs_token
    ]
    assert {"apiToken", "apiKey", "bearer"} == schemes


@pytest.mark.parametrize("model", [ChatBody, WebhookBody])
def test_examples_work(settings, model):
    schema = DOCUMENT["components"]["schemas"][model.__name__]
    assert schema["example"].keys() >= set(schema["required"])
    assert model.model_validate(schema["example"], context=settings())


def test_all_references_lead_somewhere():
    text = json.dumps(DOCUMENT)
    for part in text.split('"#/components/schemas/')[1:]:
        assert part.partition('"')[0] in DOCUMENT["components"]["schemas"]
    assert "HTTPValidationError" not in text
