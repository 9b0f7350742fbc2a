import json

import pytest
from jwt.algorithms import get_default_algorithms
from tests.security.identity_provider import ec_key, ed_key, public, rsa_key

from llm_proxy.security.jwks import ALGORITHMS, read_keys


def read(*entries):
    return set(read_keys(json.dumps({"keys": entries}).encode()))


GOOD = public(rsa_key(), "RS256", "good")
ALWAYS = {("good", "RS256"), ("good", "PS256")}


def test_no_symmetric_algorithm_is_known():
    assert {"RS256", "PS256", "ES256", "EdDSA"} == ALGORITHMS


@pytest.mark.parametrize(
    ("entry", "names"),
    [
        (public(rsa_key(), "RS256", "a"), {("a", "RS256"), ("a", "PS256")}),
        (public(rsa_key(), "RS256", "a", alg="PS256"), {("a", "PS256")}),
        (public(ec_key(), "ES256", "a", alg="ES256"), {("a", "ES256")}),
        (public(ed_key(), "EdDSA", "a"), {("a", "EdDSA")}),
        (public(ec_key(), "ES256", "a", key_ops=["verify"]), {("a", "ES256")}),
    ],
)
def test_a_key_is_known_by_what_it_was_made_for(entry, names):
    assert read(entry) == names


def private(key, algorithm):
    entry = get_default_algorithms()[algorithm].to_jwk(key, as_dict=True)
    entry.pop("key_ops", None)
    return entry | {"kid": "a"}


@pytest.mark.parametrize(
    "entry",
    [
        None,
        "key",
        {},
        {"kty": "oct", "k": "c2VjcmV0", "kid": "a", "alg": "HS256"},
        {"kty": "oct", "k": "c2VjcmV0", "kid": "a", "alg": "RS256"},
        {"kty": ["RSA"], "kid": "a"},
        public(rsa_key(), "RS256", "a", alg="HS256"),
        public(rsa_key(), "RS256", "a", alg="RS512"),
        public(rsa_key(), "RS256", "a", alg="none"),
        public(rsa_key(), "RS256", "a", use="enc"),
        public(rsa_key(), "RS256", "a", key_ops=["encrypt"]),
        public(rsa_key(), "RS256", "a", key_ops="verify"),
        public(rsa_key(), "RS256", None),
        public(rsa_key(), "RS256", ["a"]),
        public(rsa_key(), "RS256", "a", n="!"),
        public(rsa_key(), "RS256", "a", n=5),
        public(ec_key(), "ES256", "a", crv="P-384"),
        public(ec_key(), "ES256", "a", x="AAAA"),
        private(rsa_key(), "RS256"),
        private(ec_key(), "ES256"),
    ],
    ids=range(20),
)
def test_what_cannot_be_used_is_left_out(entry):
    assert read(GOOD, entry) == ALWAYS


@pytest.mark.parametrize(
    "document", [b"", b"[]", b"{}", b'{"keys": 1}', b'{"keys": []}', b'{"keys": [1]}']
)
def test_what_has_no_key_is_refused(document):
    with pytest.raises(ValueError, match=r"key|JSON|document|character"):
        read_keys(document)
