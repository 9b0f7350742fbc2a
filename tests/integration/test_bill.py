"""What stands in the ledger is what the upstream has counted itself."""

import asyncio
from collections import Counter

import pytest
from tests.integration.company import ANSWER_TOKENS, until
from tests.live import PATHS

pytestmark = pytest.mark.integration

PROMPT = "one two three four five six"
PROMPT_TOKENS = 6
SAID = "one/sandbox", "claude/sandbox", "one/chunks-21", "one/flaky-1", "one/gzip"
UNSAID = "one/missing-usage", "claude/missing-usage"
FAULTY = "one/fault-502", "one/fault-400", "claude/fault-503", "one/fault-html"
BROKEN = "one/fault-cut", "one/fault-mid-stream-error", "one/fault-no-finish"
SLOW = "one/slow-stream-100"


async def mixed_run(callers, key):
    """Asks everybody on all surfaces at once; some callers do not wait for the end."""
    asked = [
        callers.ask(key, path=path, model=model, stream=stream, prompt=PROMPT)
        for path in PATHS
        for stream in (False, True)
        for model in SAID + UNSAID + FAULTY + BROKEN * stream
    ]
    left = [
        callers.hang_up(key, path=path, model=SLOW, prompt=PROMPT) for path in PATHS
    ]
    await asyncio.gather(*asked, *left)


async def test_ledger_is_equal_to_the_upstreams_own_count(company, callers):
    key, name = await callers.key_and_id()
    before = await company.bill()
    await mixed_run(callers, key)
    bill = {
        model: figures - before.get(model, Counter())
        for model, figures in (await company.bill()).items()
    }

    # Nobody waits for the row of a call that has failed.
    made = sum(figures["requests"] for figures in bill.values())
    count = "SELECT count(*) FROM ledger WHERE principal = $1"
    await until(lambda: company.rows(count, name), [(made,)])
    requests, told = Counter(), {"input_tokens": Counter(), "output_tokens": Counter()}
    for model, source, read, written in await company.rows(
        "SELECT model, usage_source, input_tokens, output_tokens"
        " FROM ledger WHERE principal = $1",
        name,
    ):
        requests[model] += 1
        if source == "provider":
            told["input_tokens"][model] += read
            told["output_tokens"][model] += written
    for figure, models in {"requests": requests, **told}.items():
        billed = Counter({model: figures[figure] for model, figures in bill.items()})
        assert +models == +billed


async def test_what_the_upstream_does_not_count_is_estimated(company, callers):
    key, name = await callers.key_and_id()
    await mixed_run(callers, key)

    of_key = "FROM ledger WHERE principal = $1 AND usage_source ="
    for source, models in {"counted": UNSAID, "partial": (*BROKEN, SLOW)}.items():
        found = f"SELECT DISTINCT provider || '/' || model {of_key} '{source}'"
        await until(
            lambda found=found: company.rows(f"{found} ORDER BY 1", name),
            [(model,) for model in sorted(models)],
        )
        for read, written in await company.rows(
            f"SELECT input_tokens, output_tokens {of_key} '{source}'", name
        ):
            assert PROMPT_TOKENS / 2 <= read <= PROMPT_TOKENS * 2
            assert 0 < written <= ANSWER_TOKENS * 2
