import re

import pytest

ASSETS = {
    "docs.js": "text/javascript",
    "favicon.png": "image/png",
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
}


async def test_the_page_loads_nothing_from_elsewhere(client):
    answer = await client(headers={}).get("/docs")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    loaded = re.findall(r'(?:src|href)="([^"]+)"', answer.text)
    assert {name.removeprefix("docs/static/") for name in loaded} == ASSETS.keys()
    assert re.findall(r"<script>|<style>|\son\w+=|style=", answer.text) == []


async def test_the_policy_of_the_page_is_as_strict_as_it_can_be(client):
    answer = await client(headers={}).get("/docs")
    [header] = answer.headers.get_list("content-security-policy")
    policy = dict(part.strip().split(" ", 1) for part in header.split(";"))
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }


@pytest.mark.parametrize(("name", "media_type"), ASSETS.items())
async def test_its_files_are_served(client, name, media_type):
    answer = await client(headers={}).get(f"/docs/static/{name}")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(media_type)
    assert answer.headers["cache-control"] == "public, max-age=86400"
    assert len(answer.content) > 100


@pytest.mark.parametrize(
    "name", ["docs.html", "..%2fdocs.py", "%2e%2e/docs.py", "nope.js", ""]
)
async def test_no_other_files_are(client, name):
    answer = await client(headers={}).get(f"/docs/static/{name}")
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "NOT_FOUND"


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", "/docs/static/docs.js"])
async def test_the_documentation_can_be_switched_off(client, path):
    answer = await client(docs_enabled=False).get(path)
    assert answer.status_code == 404
