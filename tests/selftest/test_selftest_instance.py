"""The instance under test, where it belongs to somebody else."""

import pytest
from tests.live import live

from llm_proxy.selftest.instance import Instance
from llm_proxy.selftest.service import SURFACES

pytestmark = pytest.mark.integration


async def test_its_cache_does_not_answer(settings, restored_logging, tmp_path):
    overrides = {"cache_policy": "all", "cache_surfaces": "chat,openai,anthropic"}
    async with live(settings, tmp_path, **overrides) as it:
        instance = Instance(str(it.client.base_url), "test_token")
        for surface in SURFACES:
            for stream in (False, True):
                for _ in range(2):
                    reply = await instance.ask(surface, "sandbox", stream=stream)
                    assert reply.status == 200
        await instance.aclose()
        assert len(it.received) == 4 * len(SURFACES)
