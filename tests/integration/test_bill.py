"""What stands in the ledger is what the upstream has counted itself."""

import asyncio
from collections import Counter

import pytest
from tests.integration.company import ANSWER_TOKENS, until
from tests.live import PATHS

pytestmark = pytest.mark.integration

PROMPT = "one two three four five six"
PROMPT_TOKENS = 6
SAID = "one/sandbox", "claude/sandbox", "one/chunks-21", "one/flaky-1", "one/length"
UNSAID = "one/missing-usage", "claude/missing-usage"
FAULTY = "one/fault-502", "one/fault-400", "claude/fault-503", "one/fault-html"
BROKEN = "one/fault-cut", "claude/fault-cut", "one/fault-mid-stream-error"
SLOW = "one/slow-stream-400", "claude/slow-stream-400"


async def mixed_run(callers, key):
    """Asks everybody on all surfaces at once; some callers do not wait for the end."""
    asked = [
        callers.ask(key, path=path, model=model, stream=stream, prompt=PROMPT)
        for path in PATHS
        for stream in (False, True)
        for model in SAID + UNSAID + FAULTY + BROKEN * stream
    ]
    left = [
        callers.hang_up(key, path=path, model=model, prompt=PROMPT)
        for path in PATHS
        for model in SLOW
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

    requests = Counter({model: each["requests"] for model, each in bill.items()})
    rows = "SELECT model, count(*) FROM ledger WHERE principal = $1 GROUP BY model"
    # Nobody waits for the row of a call that has failed.
    await until(
        lambda: company.rows(f"{rows} ORDER BY 1", name), sorted((+requests).items())
    )
    told = await company.rows(
        "SELECT model, sum(input_tokens)::bigint, sum(output_tokens)::bigint"
        " FROM ledger WHERE principal = $1 AND usage_source = 'provider'"
        " GROUP BY model",
        name,
    )
    assert {model for model, *_ in told} == names(SAID)
    for model, read, written in told:
        assert bill[model]["input_tokens"] == read
        assert bill[model]["output_tokens"] == written


async def test_what_the_upstream_does_not_count_is_estimated(company, callers):
    key, name = await callers.key_and_id()
    await mixed_run(callers, key)

    of_key = "FROM ledger WHERE principal = $1 AND usage_source ="
    for source, models in {"counted": UNSAID, "partial": BROKEN + SLOW}.items():
        found = f"SELECT DISTINCT provider || '/' || model {of_key} '{source}'"
        wanted = [(model,) for model in sorted(models)]
        await until(lambda: company.rows(f"{found} ORDER BY 1", name), wanted)  # noqa: B023
        for read, written in await company.rows(
            f"SELECT input_tokens, output_tokens {of_key} '{source}'", name
        ):
            assert PROMPT_TOKENS / 2 <= read <= PROMPT_TOKENS * 2
            assert 3 <= written <= ANSWER_TOKENS * 2


def names(models):
    """Names as the upstream has them."""
    return {model.partition("/")[2] for model in models}
