from collections.abc import AsyncIterator

import pytest
from anthropic import AsyncAnthropic
from openai import AsyncOpenAI

from llm_proxy.providers.loopback import SandboxServer


@pytest.fixture
async def openai(sandbox: SandboxServer) -> AsyncIterator[AsyncOpenAI]:
    url = await sandbox.start()
    async with AsyncOpenAI(api_key="any", base_url=url, max_retries=0) as sdk:
        yield sdk


@pytest.fixture
async def anthropic(sandbox: SandboxServer) -> AsyncIterator[AsyncAnthropic]:
    url = (await sandbox.start()).removesuffix("/v1")
    async with AsyncAnthropic(api_key="any", base_url=url, max_retries=0) as sdk:
        yield sdk
