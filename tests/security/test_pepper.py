import hashlib
import hmac
import stat
import subprocess
import sys

import pytest
from pydantic import SecretStr

from llm_proxy.security.key_text import new_secret
from llm_proxy.security.pepper import find_pepper, is_pepper_missing
from llm_proxy.settings import ConfigurationError, Settings

SECRET = new_secret()
LONG = "a-pepper-of-at-least-32-characters"  # pragma: allowlist secret
TOKEN = "4fXbkqzQ0sW7vJ2mYtR9uLpE6cHdN1oA"  # pragma: allowlist secret


@pytest.fixture
def settings(monkeypatch, tmp_path):
    """Makes settings, with the folder of a test as the working directory."""
    monkeypatch.chdir(tmp_path)

    def settings(**values: object) -> Settings:
        given = {"environment": "testing", "api_token": TOKEN, **values}
        return Settings(**given)

    return settings


def test_digest_is_the_hmac_of_the_secret(settings):
    digest = find_pepper(settings(key_pepper=LONG)).digest(SECRET)

    expected = hmac.new(LONG.encode(), SECRET.encode(), hashlib.sha256)
    assert digest == expected.hexdigest()


def test_given_pepper_needs_no_file(settings, tmp_path):
    find_pepper(settings(key_pepper=LONG)).digest(SECRET)

    assert list(tmp_path.iterdir()) == []


def test_short_pepper_is_refused(settings):
    with pytest.raises(ConfigurationError, match="KEY_PEPPER: shorter than 32"):
        find_pepper(settings(key_pepper=LONG[:31]))


@pytest.mark.parametrize("other", ["api_token", "jwt_secret_key", "metrics_token"])
def test_pepper_must_not_be_another_secret(settings, other):
    values = {other: SecretStr(f"name:{LONG}" if other == "api_token" else LONG)}

    with pytest.raises(ConfigurationError, match="another secret") as caught:
        find_pepper(settings(key_pepper=LONG, **values))

    assert LONG not in str(caught.value)


@pytest.mark.parametrize(
    "values",
    [
        {"environment": "staging"},
        {"environment": "production"},
        {"database_url": "postgresql://user@host/name"},
    ],
    ids=["staging", "production", "postgres"],
)
def test_what_machines_share_needs_a_given_pepper(settings, values, tmp_path):
    given = settings(**values)
    assert is_pepper_missing(given)
    assert not is_pepper_missing(settings(key_pepper=LONG, **values))

    pepper = find_pepper(given)
    with pytest.raises(ConfigurationError, match="KEY_PEPPER: required"):
        pepper.digest(SECRET)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///data/keys.db", "data/key-pepper"),
        ("sqlite://", "state/key-pepper"),
    ],
)
def test_file_is_made_when_it_is_needed(settings, tmp_path, url, path):
    given = settings(database_url=url, spool_dir="state/spool")
    assert not is_pepper_missing(given)
    pepper = find_pepper(given)
    assert list(tmp_path.iterdir()) == []

    digest = pepper.digest(SECRET)

    file = tmp_path / path
    assert len(file.read_bytes()) >= 43
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [each.name for each in file.parent.iterdir()] == ["key-pepper"]
    assert find_pepper(given).digest(SECRET) == digest
    assert pepper.digest(new_secret()) != digest


def test_two_folders_have_two_peppers(settings):
    first = find_pepper(settings(database_url="sqlite:///a/keys.db"))
    second = find_pepper(settings(database_url="sqlite:///b/keys.db"))

    assert first.digest(SECRET) != second.digest(SECRET)


def test_file_that_is_there_already_is_kept(settings, tmp_path):
    (tmp_path / "key-pepper").write_text(f"{LONG}\n")

    digest = find_pepper(settings(database_url="sqlite:///keys.db")).digest(SECRET)

    assert digest == find_pepper(settings(key_pepper=LONG)).digest(SECRET)


def test_first_of_two_makers_wins(settings, tmp_path, monkeypatch):
    given = settings(database_url="sqlite:///keys.db")
    first = find_pepper(given).digest(SECRET)
    monkeypatch.setattr("pathlib.Path.exists", lambda _: False)

    assert find_pepper(given).digest(SECRET) == first
    assert [each.name for each in tmp_path.iterdir()] == ["key-pepper"]


def test_short_file_is_refused(settings, tmp_path):
    (tmp_path / "key-pepper").touch()

    with pytest.raises(ConfigurationError, match="key-pepper: shorter than 32"):
        find_pepper(settings(database_url="sqlite:///keys.db")).digest(SECRET)


def test_folder_that_cannot_be_used_is_told(settings):
    pepper = find_pepper(settings(database_url="sqlite:////proc/none/keys.db"))

    with pytest.raises(ConfigurationError, match="/proc/none/key-pepper: No such"):
        pepper.digest(SECRET)


MAKE = """
import sys
from llm_proxy.security.pepper import find_pepper
from llm_proxy.settings import Settings
pepper = find_pepper(Settings(environment="testing", api_token="x"))
print("ready", flush=True)
sys.stdin.readline()
print(pepper.digest(sys.argv[1]))
"""


@pytest.mark.integration
def test_processes_that_start_together_agree(tmp_path):
    makers = [
        subprocess.Popen(
            [sys.executable, "-c", MAKE, SECRET],
            cwd=tmp_path,
            env={"DATABASE_URL": "sqlite:///keys.db"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for maker in makers:
        assert maker.stdout.readline() == "ready\n"
    for maker in makers:
        maker.stdin.write("\n")
        maker.stdin.flush()
    digests = {maker.communicate(timeout=30)[0] for maker in makers}

    assert len(digests) == 1
    assert len(digests.pop()) == 65
