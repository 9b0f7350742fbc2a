import pytest

from llm_proxy.errors import InvalidInputError
from llm_proxy.security import read_token


@pytest.mark.parametrize(
    ("headers", "query", "token"),
    [
        ([(b"x-api-token", b"a")], b"", "a"),
        ([(b"x-api-key", b" a ")], b"", "a"),
        ([(b"authorization", b"Bearer a")], b"", "a"),
        ([(b"authorization", b"bearer  a")], b"", "a"),
        ([(b"authorization", b"Basic a")], b"", None),
        ([(b"authorization", b"Bearer")], b"", None),
        ([(b"x-api-token", b"")], b"api_token=q", "q"),
        ([(b"x-api-token", b"a")], b"api_token=q", "a"),
        ([(b"x-api-token", b"a"), (b"authorization", b"Bearer a")], b"", "a"),
        ([(b"x-api-token", b"\xe9")], b"", "é"),
        ([(b"accept", b"x")], b"api_token=%C3%A9&x=1", "é"),
        ([], b"api_token=", None),
        ([], b"token=a", None),
        ([], b"", None),
    ],
)
def test_the_token_is_found_wherever_it_may_stand(headers, query, token):
    assert read_token(headers, query, allow_query=True) == token


def test_the_query_can_be_closed():
    assert read_token([], b"api_token=a", allow_query=False) is None


def test_two_different_credentials_are_refused():
    headers = [(b"x-api-token", b"a"), (b"x-api-key", b"b")]
    with pytest.raises(InvalidInputError, match="two different"):
        read_token(headers, b"", allow_query=True)
