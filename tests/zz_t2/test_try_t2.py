import pytest
from tests.live import *
MODELS = """
models:
  buffer:
    deployments: [{model: one/fault-cut}]
    fallbacks: [two/sandbox]
    stream_recovery: buffer
  cont:
    deployments: [{model: one/fault-cut}]
    fallbacks: [claude/sandbox]
    stream_recovery: continue
  cont2:
    deployments: [{model: claude/fault-cut}]
    fallbacks: [two/sandbox]
    stream_recovery: continue
  dead:
    deployments: [{model: one/fault-cut}]
    fallbacks: [two/fault-cut]
    stream_recovery: buffer
"""
@pytest.mark.parametrize("model", ["buffer","cont","cont2","dead"])
@pytest.mark.parametrize("path", PATHS)
async def test_x(settings, restored_logging, tmp_path, path, model):
    async with live(settings, tmp_path, MODELS) as service:
        h = await service.hear(path, model, "one two three four five six")
        print(path, model, h.status, service.asked, repr(h.text), h.is_whole, h.error)
        print(dict(h.headers))
        print(service.received[-1])
        print(h.raw.decode()[-900:])
        pass
