import pytest
from tests.clients.features import FEATURES
from tests.clients.program import *
OUT = {}
@pytest.mark.parametrize("provider", ["openai","compatible","anthropic","azure", "gemini", "bedrock"])
@pytest.mark.parametrize(("dialect","name"), [(d,f.name) for f in FEATURES.values() for d in f.dialects])
def test_x(program, dialect, provider, name):
    try:
        FEATURES[name].run(program(dialect, provider))
        o="works"
    except RefusedError as e: o=f"refused {e}"
    except DroppedError as e: o=f"dropped {e}"
    except Exception as e: o=f"FAIL {type(e).__name__} {' '.join(str(e).split())[:300]}"
    with open("/tmp/clients.out","a") as f: f.write(f"{name:20} {dialect:18} {provider:10} {o}\n")
