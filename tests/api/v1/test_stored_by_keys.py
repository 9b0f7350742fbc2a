"""Stored responses, and keys that may ask for some models alone."""

import pytest
from tests.live import RESPONSES, live

pytestmark = pytest.mark.integration

# The first one's upstream keeps responses itself.
CONFIG = """
  openai: {base_url: "{url}", api_key: "${UPSTREAM_KEY}"}
models:
  smart: {deployments: [{model: openai/sandbox}]}
  other: {deployments: [{model: one/sandbox}]}
"""


@pytest.mark.parametrize("model", ["smart", "other"])
async def test_whose_response_it_is_may_read_it(
    settings, restored_logging, tmp_path, model
):
    file = f"sqlite:///{tmp_path}/proxy.db"
    async with (
        live(settings, tmp_path, CONFIG, database_url=file) as it,
        it.with_key(models=[model]) as caller,
        it.with_key(models=[model]) as stranger,
    ):
        made = (await caller.ask(RESPONSES, model)).json()
        place = f"{RESPONSES}/{made['id']}"
        assert (await stranger.client.get(place)).status_code == 404
        assert (await it.client.get(place)).status_code == 404
        kept = await caller.client.get(place)
        assert kept.status_code == 200
        assert kept.json()["output"] == made["output"]
        assert (await caller.client.get(f"{place}/input_items")).status_code == 200
        assert (await caller.client.delete(place)).status_code == 200
        assert (await caller.client.get(place)).status_code == 404
