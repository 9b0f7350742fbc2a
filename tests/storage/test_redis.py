import asyncio
import random
import ssl
import sys
import time
from urllib.parse import quote

import pytest
import redis as driver
import trustme

from llm_proxy.errors import StorageUnavailableError
from llm_proxy.settings import ConfigurationError
from llm_proxy.storage.redis import Redis, Script
from llm_proxy.storage.redis_driver import RefusedCommandError

pytestmark = pytest.mark.integration

PASSWORD = "correct/horse#battery"  # pragma: allowlist secret
PAIR = Script("return {KEYS[1], ARGV[1]}")


@pytest.fixture
async def connect():
    """Makes clients, and closes them after the test."""
    made = []

    def connect(url: str, timeout_seconds: float = 30.0) -> Redis:
        made.append(Redis(url, timeout_seconds=timeout_seconds))
        return made[-1]

    yield connect
    for each in made:
        await each.aclose()


@pytest.fixture
def redis(redis_url, connect) -> Redis:
    return connect(redis_url)


@pytest.fixture
def operator(redis_url):
    """The server as its operator sees it."""
    with driver.Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


async def trouble(redis, *command) -> str:
    """What operators read of a Redis that cannot be used."""
    with pytest.raises(StorageUnavailableError) as caught:
        await redis.execute(*(command or ("PING",)))
    return caught.value.log_detail


async def until(condition) -> None:
    async with asyncio.timeout(30):
        while not await condition():  # noqa: ASYNC110 - Redis tells nobody
            await asyncio.sleep(0.02)


async def answers(redis) -> bool:
    try:
        await redis.open()
    except StorageUnavailableError:
        return False
    return True


async def is_busy(redis) -> bool:
    try:
        await redis.open()
    except StorageUnavailableError as error:
        return "BUSY" in error.log_detail
    return False


async def blocked(operator, number: int) -> bool:
    return operator.info("clients")["blocked_clients"] == number


async def alone(operator) -> bool:
    return len(operator.client_list()) == 1


async def test_answers_are_as_redis_gives_them(redis):
    await redis.open()

    assert await redis.execute("SET", "text", b"\xff\x00") == b"OK"
    assert await redis.execute("GET", "text") == b"\xff\x00"
    assert await redis.execute("GET", "nothing") is None
    assert await redis.execute("INCRBY", "number", 2**53) == 2**53
    assert await redis.execute("HSET", "hash", "field", 1.5) == 1
    assert await redis.execute("HGETALL", "hash") == [b"field", b"1.5"]


async def test_script_is_sent_once(redis, operator):
    operator.script_flush()
    operator.config_resetstat()

    assert await redis.run(PAIR, ["key"], ["argument"]) == [b"key", b"argument"]
    assert await redis.run(PAIR, ["key"], [7]) == [b"key", b"7"]

    calls = {
        name.removeprefix("cmdstat_"): figures["calls"]
        for name, figures in operator.info("commandstats").items()
    }
    assert calls["evalsha"] == 2
    assert calls["eval"] == 1


@pytest.mark.parametrize("command", [("NOPE",), ("LPUSH", "text", "item")])
async def test_what_redis_refuses_is_trouble_for_that_command_alone(
    redis, command, capsys
):
    await redis.execute("SET", "text", "a")

    for _ in range(4):
        with pytest.raises(RefusedCommandError):
            await redis.execute(*command)

    assert await redis.execute("GET", "text") == b"a"
    lines = capsys.readouterr().out
    assert lines.count("redis_refuses") == 1
    assert "redis_away" not in lines


async def test_defect_of_a_script_is_trouble_for_that_script_alone(redis):
    for _ in range(4):
        with pytest.raises(RefusedCommandError) as caught:
            await redis.run(Script("return nonsense()"), [], [])
        assert "nonsense" in caught.value.log_detail

    await redis.open()


async def test_server_that_starts_again_is_found_and_told_the_scripts(
    redis_server, connect
):
    redis = connect(redis_server.url)
    await redis.run(PAIR, ["key"], [1])

    redis_server.stop()
    try:
        assert await trouble(redis)
        assert "connecting to" in await trouble(redis)
    finally:
        redis_server.start()

    assert await redis.run(PAIR, ["key"], [1]) == [b"key", b"1"]


async def test_silent_server_is_waited_for_three_times(redis_server, connect, capsys):
    redis = connect(redis_server.url, timeout_seconds=0.5)
    await redis.open()

    redis_server.freeze()
    try:
        async with asyncio.timeout(30):
            for _ in range(3):
                assert await trouble(redis) == "not done in 0.5 s"
            # Connections that it had are gone, and others are not asked for.
            assert await trouble(redis) == "redis is away"
    finally:
        redis_server.thaw()

    await until(lambda: answers(redis))
    lines = capsys.readouterr().out
    assert lines.count("redis_away") == lines.count("redis_back") == 1


async def test_loop_that_stands_still_is_no_trouble_of_redis(redis_url, connect):
    redis = connect(redis_url, timeout_seconds=0.4)
    await redis.open()
    calls = [asyncio.create_task(redis.execute("ECHO", "mine")) for _ in range(5)]
    await asyncio.sleep(0)

    time.sleep(0.5)  # noqa: ASYNC251 - that is the fault

    assert await asyncio.gather(*calls) == [b"mine"] * 5


async def test_loop_with_much_to_do_is_no_trouble_of_redis(redis_url, connect):
    redis = connect(redis_url, timeout_seconds=0.2)
    calls = [asyncio.create_task(redis.execute("ECHO", "mine")) for _ in range(100)]

    while not all(call.done() for call in calls):
        time.sleep(0.02)  # noqa: ASYNC251 - that is the fault
        await asyncio.sleep(0)

    assert await asyncio.gather(*calls) == [b"mine"] * 100


async def test_late_answer_is_nobodys(redis_url, connect):
    redis = connect(redis_url, timeout_seconds=0.3)

    assert await trouble(redis, "BLPOP", "list", 60) == "not done in 0.3 s"
    await redis.execute("RPUSH", "list", "item")

    assert await redis.execute("ECHO", "mine") == b"mine"


async def test_calls_share_a_few_connections(redis, connect, redis_url, operator):
    popped = [
        asyncio.create_task(redis.execute("BLPOP", "list", 60)) for _ in range(60)
    ]
    await until(lambda: blocked(operator, 10))
    await asyncio.sleep(0.05)
    assert await blocked(operator, 10)

    operator.rpush("list", *range(60))

    items = {int(item) for _, item in await asyncio.gather(*popped)}
    assert items == set(range(60))


async def test_wait_for_a_connection_is_bounded(redis_url, connect):
    redis = connect(redis_url, timeout_seconds=0.3)

    async with asyncio.timeout(30):
        outcomes = await asyncio.gather(
            *(redis.execute("BLPOP", "list", 60) for _ in range(60)),
            return_exceptions=True,
        )

    assert {type(each) for each in outcomes} == {StorageUnavailableError}


async def test_cancelled_calls_leave_nothing_behind(redis):
    dice = random.Random(1)

    async def ask(number: int) -> None:
        text = f"call {number}".encode()
        assert await redis.execute("ECHO", text) == text

    for _ in range(20):
        calls = [asyncio.create_task(ask(number)) for number in range(70)]
        for _ in range(dice.randrange(12)):
            await asyncio.sleep(0)
        for call in dice.sample(calls, 30):
            call.cancel()
        for outcome in await asyncio.gather(*calls, return_exceptions=True):
            assert outcome is None or isinstance(outcome, asyncio.CancelledError)

    # All places are free, too.
    await asyncio.gather(*map(ask, range(120)))


async def test_closed_one_has_no_connections(redis, operator):
    await asyncio.gather(*(redis.open() for _ in range(10)))

    late = asyncio.create_task(redis.execute("BLPOP", "list", 60))
    await until(lambda: blocked(operator, 1))
    await redis.aclose()
    operator.rpush("list", "item")

    assert await late == [b"list", b"item"]
    assert await trouble(redis) == "redis is closed"
    await until(lambda: alone(operator))


@pytest.fixture
def setting(redis_server, connect):
    """Changes a server of our own, and undoes it."""
    changed = {}
    with driver.Redis.from_url(redis_server.url, decode_responses=True) as operator:

        def setting(name: str, value: str) -> Redis:
            changed.update(operator.config_get(name))
            operator.config_set(name, value)
            return connect(redis_server.url)

        yield setting
        for name, value in changed.items():
            operator.config_set(name, value)


async def test_server_without_memory_is_trouble_for_what_needs_some(setting):
    redis = setting("maxmemory", "1")

    for _ in range(4):
        with pytest.raises(RefusedCommandError) as caught:
            await redis.execute("SET", "key", "value")
        assert "maxmemory" in caught.value.log_detail

    assert await redis.execute("GET", "key") is None


async def test_server_that_wants_a_password_is_trouble(setting):
    redis = setting("requirepass", PASSWORD)

    assert "Authentication required" in await trouble(redis)
    # To a command of more than ten parts Redis says something else.
    assert "unauthenticated" in await trouble(redis, "DEL", *"abcdefghijklm")
    assert await trouble(redis) != "redis is away"
    assert await trouble(redis) == "redis is away"


async def test_password(setting, redis_server, connect, capfd):
    setting("requirepass", PASSWORD)
    right, wrong = (
        redis_server.url.replace("//", f"//:{quote(password, safe='')}@")
        for password in (PASSWORD, "battery-staple")
    )

    await connect(right).open()
    with pytest.raises(StorageUnavailableError) as caught:
        await connect(wrong).open()

    error: BaseException | None = caught.value
    assert "invalid username-password pair" in caught.value.log_detail
    while error is not None:
        assert "battery-staple" not in f"{error!r} {vars(error)}"
        error = error.__cause__ or error.__context__
    assert "battery-staple" not in "".join(capfd.readouterr())


async def test_busy_server_is_trouble(setting, redis_server, connect):
    redis = setting("busy-reply-threshold", "1")
    endless = asyncio.create_task(
        connect(redis_server.url).run(Script("while true do end"), [], [])
    )
    try:
        await until(lambda: is_busy(redis))
    finally:
        await redis.execute("SCRIPT", "KILL")
    with pytest.raises(RefusedCommandError) as caught:
        await endless
    assert "killed" in caught.value.log_detail


async def test_command_that_an_acl_forbids_is_trouble(setting, redis_server):
    redis = setting("maxmemory", "0")
    increment = Script("return redis.call('INCR', KEYS[1])")
    with driver.Redis.from_url(redis_server.url) as operator:
        operator.execute_command("ACL", "SETUSER", "default", "-incr")
        try:
            for _ in range(3):
                with pytest.raises(StorageUnavailableError) as caught:
                    await redis.run(increment, ["key"], [])
                assert "no permissions" in caught.value.log_detail
            assert await trouble(redis) == "redis is away"
        finally:
            operator.execute_command("ACL", "SETUSER", "default", "+@all")


@pytest.fixture
async def forward(redis_server):
    """Makes what a server of asyncio needs to lead on to the Redis."""
    open_writers = []

    async def copy(reader, writer) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def forward(reader, writer) -> None:
        port = redis_server.url.rpartition(":")[2]
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", port)
        open_writers.extend((writer, there_writer))
        await asyncio.gather(copy(reader, there_writer), copy(there_reader, writer))

    yield forward
    for writer in open_writers:
        writer.close()
        await writer.wait_closed()


async def test_server_that_has_become_a_replica_is_left(forward, connect):
    """Its address is another server's by now."""
    is_replica = True

    async def answer(reader, writer) -> None:
        if not is_replica:
            return await forward(reader, writer)
        while data := await reader.read(65_536):
            is_ping = b"PING" in data
            writer.write(b"+PONG\r\n" if is_ping else b"-READONLY a replica\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1") as server:
        redis = connect(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        await asyncio.gather(*(redis.open() for _ in range(10)))
        is_replica = False

        assert "ReadOnly" in await trouble(redis, "SET", "key", "value")
        assert await redis.execute("SET", "key", "value") == b"OK"
        await redis.aclose()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b":many\r\n",
        b"-MOVED\r\n",
        b"-ASK here\r\n",
        b"*1\r\n" * 9999,
        b"$9999999999\r\n",
        b"\x00\xff\r\n",
    ],
)
async def test_whoever_is_no_redis_is_trouble(connect, answer):
    async def say(reader, writer) -> None:
        while await reader.read(65_536):
            writer.write(answer)
        writer.close()

    async with await asyncio.start_server(say, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        assert await trouble(connect(f"redis://127.0.0.1:{port}", 0.2))


async def test_arguments_are_made_when_they_are_sent(redis):
    script = Script("return ARGV[1]")

    assert await redis.run(script, [], lambda: ["late"]) == b"late"


async def test_unix_socket(forward, connect, tmp_path):
    path = tmp_path / "redis.sock"
    async with await asyncio.start_unix_server(forward, path):
        redis = connect(f"unix://{quote(str(path))}?db=1")

        assert b" db=1 " in await redis.execute("CLIENT", "INFO")
        await redis.aclose()


async def test_tls(forward, connect, tmp_path):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    async with await asyncio.start_server(forward, "127.0.0.1", ssl=context) as server:
        address = f"rediss://localhost:{server.sockets[0].getsockname()[1]}/2"

        trusting = connect(f"{address}?ssl_ca_certs={tmp_path}/ca.pem")
        assert b" db=2 " in await trusting.execute("CLIENT", "INFO")
        assert "CERTIFICATE_VERIFY_FAILED" in await trouble(connect(address))
        await trusting.aclose()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "redis",
        "http://:hunter2@host",
        "redis://:hunter2@host:port",
        "redis://:hunter2/x@host:1",
        "redis://:hunter2#x@host:1",
        "redis://user:12#hunter2@host:1",
        "redis://user:12/hunter2@host:1",
        "redis://host/hunter2",
        "redis://host?db=hunter2",
        "redis://host?hunter2=1",
        "redis://[hunter2",
    ],
)
def test_bad_address_is_refused_without_repeating_it(url):
    with pytest.raises(ConfigurationError) as caught:
        Redis(url)

    assert str(caught.value).startswith("REDIS_URL: ")
    assert "hunter2" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_missing_driver_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "redis.asyncio.connection", None)

    with pytest.raises(ConfigurationError, match=r"llm-proxy\[redis\]"):
        Redis("redis://localhost")
