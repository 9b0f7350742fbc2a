import pytest,os
from tests.clients.features import FEATURES
from tests.clients.program import *
@pytest.mark.parametrize("c", os.environ.get("CELLS","").split())
def test_x(program, c):
    name,d,p=c.split(":")
    prog=program({"chat":"openai_chat","responses":"openai_responses","messages":"anthropic_messages"}[d],p)
    try: FEATURES[name].run(prog)
    finally:
        print("SENT", prog.wiretap.sent.decode()[:1500])
        print("UP", prog.upstream.received()["body"][:1500])
