"""``llm-proxy keys``."""

import asyncio
import json
import time
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_network

import pytest
from tests.ledger.rows import row

from llm_proxy.api.key_schemas import KeyData, NewKeyData, ShownKeyData
from llm_proxy.cli import main
from llm_proxy.security.audit import AuditQuery, read
from llm_proxy.security.key_queries import find_digests
from llm_proxy.security.key_store import KeyStore
from llm_proxy.security.key_text import is_well_formed
from llm_proxy.security.pepper import find_pepper
from llm_proxy.security.virtual_key import VirtualKey, is_key_id
from llm_proxy.settings import load_settings
from llm_proxy.storage import Database, ledger
from llm_proxy.types import Allowance, Budget, Principal

TOKEN = "4fXbkqzQ0sW7vJ2mYtR9uLpE6cHdN1oA"  # pragma: allowlist secret
NOBODY = "key_0000000000000000"
TERMS = (
    "--project mail --tag a --tag b --model gpt-* --surface chat --network 10.0.0.0/8 "
    "--expires 2100-01-01 --rpm 60 --tpm 1000 --concurrent 4 "
    "--budget-day 0.5 --budget-month 20 --warn-at 0.25"
)
DAY, MONTH = Budget("day", 5 * 10**8, 0.25), Budget("month", 20 * 10**9, 0.25)
ALLOWANCE = Allowance(60, 1000, 4, (DAY, MONTH))


@pytest.fixture
def run(monkeypatch, tmp_path, capsys):
    """Runs a command; gives its exit status and what it has printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ENVIRONMENT", "testing")
    monkeypatch.setenv("API_TOKEN", TOKEN)
    monkeypatch.setenv("DATABASE_URL", "sqlite:///keys.db")
    monkeypatch.setenv("COLUMNS", "40")

    def run(*arguments: str) -> tuple[object, str]:
        with pytest.raises(SystemExit) as ended:
            main(("keys", *arguments))
        return ended.value.code, capsys.readouterr().out

    return run


@pytest.fixture
def make(run):
    """Makes a key; gives its id and its secret."""

    def make(*options: str) -> tuple[str, str]:
        status, text = run("create", "sheets", *options, "--json")
        assert status == 0
        made = json.loads(text)
        return made["id"], made["secret"]

    return make


def in_database(act):
    """What a function says of the database of the settings."""

    async def ask():
        database = Database("sqlite:///keys.db")
        try:
            return await act(KeyStore(database, find_pepper(load_settings())))
        finally:
            await database.aclose()

    return asyncio.run(ask())


def stored(key_id: str) -> VirtualKey:
    return in_database(lambda store: store.get(key_id))


def caller(secret: str) -> Principal | None:
    async def ask(store: KeyStore) -> Principal | None:
        digest = store.digest(secret)
        found = (await find_digests(store.database, [digest])).get(digest)
        return found if isinstance(found, Principal) else None

    return in_database(ask)


def listed(run, *options: str) -> list[dict[str, object]]:
    _, text = run("list", *options, "--json")
    return [json.loads(line) for line in text.splitlines()]


def test_key_is_made_and_its_secret_works(run):
    status, text = run("create", "sheets")

    assert status == 0
    first, second, third = text.splitlines()
    key_id, secret = first.split()[-1], second.split()[-1]
    assert is_key_id(key_id)
    assert is_well_formed(secret)
    assert third == "It is not shown again."
    assert caller(secret) == stored(key_id).principal


def test_quiet_command_prints_the_secret_alone(run):
    _, text = run("create", "sheets", "--quiet")

    assert is_well_formed(text.removesuffix("\n"))


def test_options_describe_the_key(make):
    options = (
        "--organisation acme --team red --owner anna --project mail --tag a --tag b"
    )
    options += " --role operator --scope keys:read --scope models:call --model gpt-*"
    options += " --model o3 --surface openai --network 10.0.0.0/8 --network ::1"
    options += " --expires 30d --rpm 60 --tpm 1000 --concurrent 4"
    options += " --budget-day 0.5 --budget-month 20 --budget-total 100 --warn-at 0.5"
    key = stored(make(*options.split())[0])

    assert (key.name, key.created_by) == ("sheets", "cli")
    assert (key.organisation, key.team, key.owner) == ("acme", "red", "anna")
    assert (key.project, key.tags) == ("mail", ("a", "b"))
    assert key.role == "operator"
    assert key.scopes == {"keys:read", "models:call"}
    assert key.models == ("gpt-*", "o3")
    assert key.surfaces == {"openai"}
    assert [str(each) for each in key.networks] == ["10.0.0.0/8", "::1/128"]
    assert key.expires_at == pytest.approx(time.time() + 30 * 86_400, abs=60)
    assert key.allowance.requests_per_minute == 60
    assert key.allowance.tokens_per_minute == 1000
    assert key.allowance.concurrent_requests == 4
    assert key.allowance.budgets == (
        Budget("day", 500_000_000, 0.5),
        Budget("month", 20_000_000_000, 0.5),
        Budget("total", 100_000_000_000, 0.5),
    )


def test_key_without_options_is_a_developers(make):
    key = stored(make()[0])

    assert key.role == "developer"
    assert (key.scopes, key.models, key.surfaces) == (None, None, None)
    assert (key.networks, key.expires_at, key.organisation) == ((), None, "")


@pytest.mark.parametrize(
    ("moment", "expires_at"),
    [
        ("2100-01-01", 4_102_444_800),
        ("2100-01-01T10:00:00Z", 4_102_480_800),
        ("2100-01-01T10:00:00+02:00", 4_102_473_600),
    ],
)
def test_key_may_end_at_a_moment(make, moment, expires_at):
    assert stored(make("--expires", moment)[0]).expires_at == expires_at


def allows(**bounds: object) -> dict[str, object]:
    return {"allowance": replace(ALLOWANCE, **bounds)}


@pytest.mark.parametrize(
    ("options", "changes"),
    [
        ("--name reports", {"name": "reports"}),
        ("--project x", {"project": "x"}),
        ("--unset project", {"project": ""}),
        ("--tag b --tag c", {"tags": ("b", "c")}),
        ("--unset tag", {"tags": ()}),
        ("--model o3", {"models": ("o3",)}),
        ("--unset model", {"models": None}),
        ("--surface openai", {"surfaces": frozenset(("openai",))}),
        ("--unset surface", {"surfaces": None}),
        ("--network ::1", {"networks": (ip_network("::1"),)}),
        ("--unset network", {"networks": ()}),
        ("--expires 2100-01-02", {"expires_at": 4_102_531_200}),
        ("--unset expires", {"expires_at": None}),
        ("--rpm 5", allows(requests_per_minute=5)),
        ("--unset rpm", allows(requests_per_minute=None)),
        (
            "--tpm 5 --unset concurrent",
            allows(tokens_per_minute=5, concurrent_requests=None),
        ),
        ("--budget-day 1", allows(budgets=(Budget("day", 10**9, 0.25), MONTH))),
        ("--budget-total 0", allows(budgets=(DAY, MONTH, Budget("total", 0, 0.25)))),
        ("--unset budget-day", allows(budgets=(MONTH,))),
        ("--unset budget-day --unset budget-month", allows(budgets=())),
        (
            "--warn-at 0",
            allows(budgets=(replace(DAY, warn_at=0), replace(MONTH, warn_at=0))),
        ),
        (
            "--unset warn-at --unset budget-day",
            allows(budgets=(replace(MONTH, warn_at=0.8),)),
        ),
    ],
)
def test_what_no_option_names_stays(run, make, options, changes):
    key_id, secret = make("--owner", "anna", *TERMS.split())
    before = stored(key_id)
    assert before.allowance == ALLOWANCE
    status, text = run("update", key_id, *options.split(), "--json")

    assert status == 0
    assert stored(key_id) == replace(before, **changes)
    shown = json.loads(text)
    assert (shown["id"], shown["name"]) == (key_id, changes.get("name", "sheets"))
    assert caller(secret) == stored(key_id).principal
    [entry, _] = in_database(lambda store: read(store.database, AuditQuery()))
    assert (entry.action, entry.actor.name) == ("key.update", "cli")
    assert [*entry.details] == [*changes]


def test_key_is_shown_with_what_is_left_of_its_budgets(run, make):
    key_id, secret = make("--budget-day", "1", "--budget-total", "0.25")
    in_database(lambda store: _spend(store, key_id))
    status, table = run("show", key_id)
    _, text = run("show", key_id, "--json")

    assert status == 0
    assert key_id in table
    assert secret not in table + text
    lines = [line.replace("│", " ").split() for line in table.splitlines()]
    assert ["day", "1", "0.15", "0.85"] in lines
    assert ["total", "0.25", "0.300000001", "0"] in lines
    assert json.loads(text)["budgets"] == [
        {"period": "day", "limit": "1", "spent": "0.15", "remaining": "0.85"},
        {"period": "total", "limit": "0.25", "spent": "0.300000001", "remaining": "0"},
    ]


async def _spend(store: KeyStore, key_id: str) -> None:
    today = datetime.now(UTC).date().isoformat()
    rows = [
        row(f"{today} 00:00", principal=key_id, cost_nanos=150_000_000),
        row("2020-02-29 00:00", principal=key_id, cost_nanos=150_000_001),
    ]
    async with store.database.begin() as connection:
        await connection.execute(ledger.insert(), rows)


@pytest.mark.parametrize(
    ("options", "lines"),
    [
        (
            TERMS,
            "tags: a, b; models: gpt-*; surfaces: chat; networks: 10.0.0.0/8; "
            "requests_per_minute: 60; concurrent_requests: 4; warn_at: 0.25; "
            "state: ends 2100-01-01 00:00+00:00",
        ),
        (
            "--role operator --scope models:call --scope keys:read",
            "role: operator; scopes: keys:read, models:call; tags: -; models: all; "
            "surfaces: all; networks: all; tokens_per_minute: -; state: active",
        ),
    ],
)
def test_all_terms_of_a_key_are_shown(run, make, options, lines):
    key_id, _ = make(*options.split())
    _, table = run("show", key_id)

    cells = [line.split("│")[1:3] for line in table.splitlines() if "│" in line]
    shown = {f"{name.strip()}: {value.strip()}" for name, value in cells}
    assert {*lines.split("; ")} <= shown


def test_rotated_key_has_another_secret(run, make):
    key_id, old = make()
    status, new = run("rotate", key_id, "--quiet")
    new = new.strip()

    assert (status, caller(new).name) == (0, key_id)
    assert caller(old).expires_at == pytest.approx(time.time() + 3600, abs=60)

    run("rotate", key_id, "--overlap", "0s")
    assert (caller(old), caller(new)) == (None, None)


def test_it_is_shown_until_when_older_secrets_work(run, make):
    key_id, _ = make()
    assert "older_secrets" not in run("show", key_id)[1]
    run("rotate", key_id, "--overlap", "30d")
    _, table = run("show", key_id)
    _, text = run("show", key_id, "--json")

    end = json.loads(text)["older_secrets_until"]
    assert f"until {end[:16].replace('T', ' ')}" in table
    left = datetime.fromisoformat(end) - datetime.now(UTC)
    assert left.total_seconds() == pytest.approx(30 * 86_400, abs=60)


def test_json_has_the_form_of_the_api(run):
    options = ("--expires", "30d", "--scope", "usage:read", "--scope", "models:call")
    options += ("--budget-day", "0.5", "--surface", "openai", "--surface", "chat")
    _, text = run("create", "sheets", *options, "--json")
    made = json.loads(text)
    rotated = json.loads(run("rotate", made["id"], "--json")[1])
    shown = json.loads(run("show", made["id"], "--json")[1])
    [line] = listed(run)

    for data, form in (
        (made, NewKeyData),
        (rotated, NewKeyData),
        (shown, ShownKeyData),
        (line, KeyData),
    ):
        assert form.model_validate(data).model_dump(mode="json") == data
    assert made["allowance"]["budgets"]["day"] == "0.5"
    assert made["scopes"] == ["models:call", "usage:read"]


def test_revoked_key_works_no_more(run, make):
    key_id, secret = make()

    assert run("revoke", key_id) == (0, f"{key_id} is revoked.\n")
    assert caller(secret) is None


def test_keys_are_listed(run, make, monkeypatch):
    monkeypatch.setattr("llm_proxy.commands.keys._PAGE_KEYS", 2)
    made = [
        make("--organisation", organisation, "--team", "[red]")[0]
        for organisation in ("acme", "acme", "acme", "other", "other")
    ]

    assert [each["id"] for each in listed(run)] == sorted(made)
    others = listed(run, "--organisation", "other", "--team", "[red]")
    assert [each["id"] for each in others] == sorted(made[3:])
    assert listed(run, "--owner", "nobody") == []
    _, table = run("list", "--organisation", "acme")
    for key_id in made:
        assert (key_id in table) == (key_id in made[:3])
    assert "[red]" in table


def test_list_says_which_keys_have_ended(run, make):
    make()
    ending, _ = make("--expires", "2100-01-01")
    ended, _ = make("--expires", "1s")
    revoked, _ = make()
    run("revoke", revoked)
    in_database(lambda store: _end(store, ended))
    _, table = run("list")

    def line(text: str) -> str:
        return next(each for each in table.splitlines() if text in each)

    assert "ends 2100-01-01 00:00" in line(ending)
    assert "ended 1970-01-01 00:00" in line(ended)
    assert f"revoked {datetime.now(UTC):%Y-}" in line(revoked)
    assert "active" in table


async def _end(store: KeyStore, key_id: str) -> None:
    from llm_proxy.storage.tables import virtual_keys

    async with store.database.begin() as connection:
        of_key = virtual_keys.c.id == key_id
        await connection.execute(
            virtual_keys.update().where(of_key).values(expires_ms=1)
        )


def test_what_is_done_stands_in_the_audit_log(run, make):
    key_id, _ = make()
    run("rotate", key_id)
    run("revoke", key_id)

    entries = in_database(lambda store: read(store.database, AuditQuery()))
    assert [(entry.actor.name, entry.subject) for entry in entries] == [
        ("cli", key_id)
    ] * 3


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("create", ""), "name: must not be empty"),
        (("create", "a", "--scope", "all"), "--scope: must be one of models:call, mod"),
        (("create", "a", "--scope", "keys:write"), "--scope: must be one of"),
        (("create", "a", "--surface", "x"), "--surface: must be one of anthropic, ch"),
        (("create", "a", "--network", "x"), "--network: item 1 is neither"),
        (("create", "a", "--expires", "soon"), "--expires soon: must be such as 30d"),
        (
            ("create", "a", "--expires", "2027-01-01T10:00"),
            "--expires 2027-01-01T10:00",
        ),
        (
            ("create", "a", "--expires", "2020-01-01"),
            "--expires: must be in the future",
        ),
        (("create", "a", "--rpm", "0"), "--rpm: "),
        (("create", "a", "--budget-month", "much"), "--budget-month: must be a number"),
        (("create", "a", "--team", "a/b"), "--team: must be without '/'"),
        (("create", "a", "--tag", ""), "--tag: each must have 1 to 255"),
        (("create", "a", "--warn-at", "2"), "--warn-at: "),
        (("create", "a", "--warn-at", "0.3"), "--warn-at: must come with a budget"),
        (("show", NOBODY), "There is no such key"),
        (("show", "'; DROP TABLE virtual_keys"), "There is no such key"),
        (("update", NOBODY), "There is nothing to change"),
        (("update", NOBODY, "--rpm", "0"), "There is no such key"),
        (("rotate", NOBODY), "There is no such key"),
        (("rotate", NOBODY, "--overlap", "1"), "--overlap 1: must be such as 0s"),
        (("rotate", NOBODY, "--overlap", "31d"), "--overlap: must be from 0 to"),
        (("revoke", NOBODY), "There is no such key"),
        (("revoke", "'; DROP TABLE virtual_keys"), "There is no such key"),
    ],
)
def test_mistakes_are_told_in_a_sentence(run, arguments, problem):
    assert problem in str(run(*arguments)[0])


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ("--rpm 0", "--rpm: "),
        ("--budget-day x", "--budget-day: must be a number"),
        ("--expires 2020-01-01", "--expires: must be in the future"),
        ("--surface x", "--surface: must be one of anthropic, chat"),
        ("--unset name", "--unset name: must be one of budget-day, "),
        ("--unset all", "--unset all: must be one of budget-day, "),
        (
            "--unset budget-day --unset budget-month --warn-at 0.3",
            "--warn-at: must come with a budget",
        ),
        ("--unset rpm --rpm 5", "--unset rpm: --rpm is given as well"),
        ("--unset model --model o3", "--unset model: --model is given as well"),
    ],
)
def test_mistaken_changes_change_nothing(run, make, options, problem):
    key_id, _ = make(*TERMS.split())
    before = stored(key_id)

    assert problem in str(run("update", key_id, *options.split())[0])
    assert stored(key_id) == before


def test_role_must_be_known(run, capsys):
    with pytest.raises(SystemExit) as ended:
        main(("keys", "create", "a", "--role", "owner"))

    assert ended.value.code == 2
    assert "owner" in capsys.readouterr().err


def test_hosted_tables_are_upgraded_by_a_command_alone(run, monkeypatch):
    monkeypatch.setenv("ENVIRONMENT", "production")
    monkeypatch.setenv("KEY_PEPPER", TOKEN[::-1])

    assert "run `llm-proxy db upgrade`" in str(run("create", "a")[0])


def test_hosted_keys_need_a_pepper(run, monkeypatch):
    assert run("list")[0] == 0
    monkeypatch.setenv("ENVIRONMENT", "production")

    assert "KEY_PEPPER: required" in str(run("create", "a")[0])
    assert listed(run) == []
