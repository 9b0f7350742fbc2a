import asyncio, time
import pytest
from tests.integration.company import *
from tests.live import PATHS, CHAT, OPENAI, ANTHROPIC, RESPONSES
async def test_x(company, callers, capsys):
    key, name = await callers.key_and_id()
    out=[]
    models=["one/sandbox","claude/sandbox","one/missing-usage","claude/missing-usage","one/fault-502","one/fault-cut","claude/fault-cut","one/fault-mid-stream-error","claude/fault-mid-stream-error","one/refusal","claude/thinking","one/tool-calls","one/fault-400","one/fault-truncated","one/fault-no-finish", "one/huge-usage","one/flaky-1","one/unasked-usage","one/fault-html"]
    rows=[]
    for model in models:
        for path in PATHS:
            for stream in (False, True):
                before=await company.bill()
                b=before.get(model.partition("/")[2], Counter())
                t=await callers.ask(key, path=path, model=model, stream=stream, prompt=f"one two three four five six {path} {stream}", **({"max_output_tokens":500} if path==RESPONSES else {"max_tokens":500}))
                a=(await company.bill()).get(model.partition("/")[2], Counter())
                d={k:a[k]-b[k] for k in ("requests","input_tokens","output_tokens")}
                await asyncio.sleep(.05)
                r=await company.rows("SELECT attempt, status, code, usage_source, input_tokens, output_tokens, cost_source FROM ledger WHERE principal=$1 ORDER BY at_ms DESC, attempt desc LIMIT 4", name)
                n=len(await company.rows("SELECT 1 FROM ledger WHERE principal=$1", name))
                rows.append((model,path,stream,t.status,t.is_answer,d,r[:max(0,n-len(out))]))
                out+= [0]*(n-len(out))
    # hang ups
    for model in ("one/slow-stream-100","claude/slow-stream-100"):
        for path in PATHS:
            n0=len(await company.rows("SELECT 1 FROM ledger WHERE principal=$1", name))
            b=(await company.bill()).get("slow-stream-100",Counter())
            tt=asyncio.create_task(callers.ask(key,path=path,model=model,stream=True,prompt="one two three four five six seven eight nine ten eleven twelve", **({"max_output_tokens":500} if path==RESPONSES else {"max_tokens":500})))
            await asyncio.sleep(.7); tt.cancel()
            await asyncio.sleep(.5)
            a=(await company.bill())["slow-stream-100"]
            d={k:a[k]-b[k] for k in ("requests","input_tokens","output_tokens")}
            r=await company.rows("SELECT attempt, status, code, usage_source, input_tokens, output_tokens, cost_source FROM ledger WHERE principal=$1 ORDER BY at_ms DESC LIMIT 2", name)
            n=len(await company.rows("SELECT 1 FROM ledger WHERE principal=$1", name))
            rows.append((model,path,"hung up",d,r[:n-n0]))
    with capsys.disabled():
        print()
        for r in rows: print(*r)
