import asyncio
import json
import logging
import re
import sys
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llm_proxy.telemetry import (
    LogConfig,
    configure_logging,
    get_logger,
    request_context,
)

JSON = LogConfig(service="llm-proxy", environment="testing")
TEXT = replace(JSON, format="text")
LOG = get_logger("llm_proxy.example")


@pytest.fixture
def lines(capsys):
    """Returns the JSON lines written since the last call."""
    return lambda: [json.loads(row) for row in capsys.readouterr().out.split("\n")[:-1]]


def test_json_line_has_the_required_fields_and_the_extras(lines):
    configure_logging(JSON)

    LOG.info("Answered", latency_ms=12.5, userId="sheets")

    (line,) = lines()
    timestamp = datetime.fromisoformat(line.pop("timestamp"))
    assert timestamp.utcoffset() == timedelta(0)
    assert line == {
        "level": "info",
        "message": "Answered",
        "requestId": None,
        "service": "llm-proxy",
        "environment": "testing",
        "module": "llm_proxy.example",
        "latency_ms": 12.5,
        "userId": "sheets",
    }


@pytest.mark.parametrize(
    ("method", "level", "alert"),
    [
        ("debug", "debug", None),
        ("info", "info", None),
        ("warning", "warn", None),
        ("error", "error", None),
        ("critical", "error", True),
    ],
)
@pytest.mark.parametrize("logger", [LOG, logging.getLogger("some.library")])
def test_level_is_one_of_four_words(lines, logger, method, level, alert):
    configure_logging(replace(JSON, level="debug"))
    logging.getLogger().setLevel(logging.DEBUG)

    getattr(logger, method)("x")

    (line,) = lines()
    assert (line["level"], line.get("alert")) == (level, alert)


@pytest.mark.parametrize(
    ("level", "written"),
    [
        ("debug", ["debug", "info", "warn", "error"]),
        ("info", ["info", "warn", "error"]),
        ("warn", ["warn", "error"]),
        ("error", ["error"]),
    ],
)
def test_lines_below_the_level_are_not_written(lines, level, written):
    configure_logging(replace(JSON, level=level))

    for method in (LOG.debug, LOG.info, LOG.warning, LOG.error):
        method("x")

    assert [line["level"] for line in lines()] == written


def test_libraries_never_write_debug_lines(lines):
    configure_logging(replace(JSON, level="debug"))

    logging.getLogger("botocore").debug("a response body")

    assert lines() == []


def test_library_lines_have_our_shape(lines):
    configure_logging(JSON)

    with request_context("req_1"):
        logging.getLogger("uvicorn.error").info("Started on %s", "127.0.0.1")

    (line,) = lines()
    assert line["message"] == "Started on 127.0.0.1"
    assert line["module"] == "uvicorn.error"
    assert line["requestId"] == "req_1"
    assert line["service"] == "llm-proxy"


def test_handlers_that_uvicorn_brought_are_replaced(lines, capsys):
    logging.getLogger("uvicorn").addHandler(logging.StreamHandler(sys.stdout))
    configure_logging(JSON)

    logging.getLogger("uvicorn.error").info("once")

    assert [line["message"] for line in lines()] == ["once"]


def test_uvicorn_finds_nobody_to_write_access_lines_for():
    configure_logging(JSON)

    assert not logging.getLogger("uvicorn.access").hasHandlers()


@pytest.mark.parametrize("name", ["httpx", "httpcore.connection"])
def test_upstream_urls_of_http_clients_are_not_written(lines, name):
    configure_logging(JSON)

    logging.getLogger(name).info("HTTP Request: POST https://api.example.com/v1")
    logging.getLogger(name).warning("a problem")

    assert [line["message"] for line in lines()] == ["a problem"]


async def test_concurrent_requests_keep_their_own_id(lines):
    configure_logging(JSON)

    async def serve(request_id: str) -> None:
        with request_context(request_id):
            await asyncio.sleep(0)
            LOG.info(request_id)
            await asyncio.create_task(background(request_id))

    async def background(request_id: str) -> None:
        logging.getLogger("some.library").warning(request_id)

    await asyncio.gather(*(serve(f"req_{number}") for number in range(20)))
    LOG.info("outside")

    *inside, outside = lines()
    assert len(inside) == 40
    assert all(line["requestId"] == line["message"] for line in inside)
    assert outside["requestId"] is None


@pytest.mark.parametrize("logger", [LOG, logging.getLogger("some.library")])
def test_exception_is_one_line_with_its_traceback(lines, logger):
    configure_logging(JSON)

    try:
        raise ValueError("broken")
    except ValueError:
        logger.exception("Failed")

    (line,) = lines()
    assert line["level"] == "error"
    assert line["message"] == "Failed"
    assert line["exception"].startswith("Traceback (most recent call last)")
    assert line["exception"].endswith("ValueError: broken")


def test_text_line_has_brackets(capsys):
    configure_logging(TEXT)

    with request_context("req_1"):
        LOG.warning("Slow answer", seconds=3, path="/chat")

    line = capsys.readouterr().out
    assert re.fullmatch(
        r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\] \[WARN\] \[llm_proxy\.example\] "
        r"\[req_1\] - Slow answer seconds=3 path=/chat\n",
        line,
    )


def test_text_line_outside_a_request_has_no_id(capsys):
    configure_logging(TEXT)

    LOG.info("Ready")

    assert capsys.readouterr().out.endswith(" [INFO] [llm_proxy.example] [-] - Ready\n")


FORGERY = "x\r\n[2026-01-01 00:00:00] [INFO] [m] [-] - forged\x1b[2K\u2028\x85"


@pytest.mark.parametrize("config", [JSON, TEXT], ids=["json", "text"])
def test_line_ends_in_values_cannot_forge_lines(capsys, config):
    configure_logging(config)

    LOG.info(FORGERY, path=FORGERY, fields={"path": FORGERY})

    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert "\r" not in out
    assert "\x1b" not in out


def test_exception_text_cannot_forge_lines(capsys):
    configure_logging(TEXT)

    try:
        raise ValueError(FORGERY)
    except ValueError:
        LOG.exception("Failed")

    first, *rows = capsys.readouterr().out.splitlines()
    assert first.startswith("[")
    assert rows
    assert all(row.startswith("    ") for row in rows)


def test_values_json_cannot_hold_are_named_by_their_type(lines):
    @dataclass
    class Prompt:
        text: str

    configure_logging(JSON)

    LOG.info(
        "x", prompt=Prompt("private"), body=b"private", path=Path("/a"), cost=Decimal(1)
    )

    (line,) = lines()
    assert line["prompt"] == "<Prompt>"
    assert line["body"] == "<bytes>"
    assert line["path"] == "/a"


def endless() -> list[object]:
    items: list[object] = []
    items.append(items)
    return items


@pytest.mark.parametrize("config", [JSON, TEXT], ids=["json", "text"])
@pytest.mark.parametrize(
    "value",
    ["\ud800", 10**30, 10**5000, float("nan"), {1: 2}, {(1,): 2}, endless(), object()],
    ids=["surrogate", "big", "huge", "nan", "int-key", "tuple-key", "cycle", "object"],
)
def test_no_value_raises_or_loses_the_line(capsys, config, value):
    configure_logging(config)

    LOG.info("x", value=value)

    assert capsys.readouterr().out.count("\n") == 1


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    message=st.text(),
    fields=st.dictionaries(
        st.sampled_from(["path", "userId", "details"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda items: st.lists(items) | st.dictionaries(st.text(), items),
            max_leaves=10,
        ),
    ),
)
def test_every_line_is_json(lines, message, fields):
    configure_logging(JSON)

    LOG.info(message, **fields)

    (line,) = lines()
    assert {"timestamp", "level", "message", "requestId"} <= line.keys()


def test_broken_library_record_does_not_raise(lines, capsys):
    configure_logging(JSON)

    logging.getLogger("some.library").warning("%d files", "three")

    assert lines() == []


def test_closed_standard_output_does_not_raise(monkeypatch, tmp_path):
    configure_logging(JSON)
    stream = (tmp_path / "closed").open("w")
    stream.close()
    monkeypatch.setattr(sys, "stdout", stream)

    LOG.info("x")


@pytest.mark.parametrize("config", [JSON, TEXT], ids=["json", "text"])
def test_no_credential_is_written(capsys, config):
    configure_logging(config)
    marker = "marker"

    try:
        raise ValueError(f"upstream said: bad key sk-{marker}")
    except ValueError:
        LOG.exception(
            "Authorization: Bearer %s",
            marker,
            api_key=marker,
            headers={"X-API-Key": marker, "list": [{"cookie": marker}]},
            url=f"/chat?api_token={marker}&x=1",
        )
    logging.getLogger("some.library").warning("key is sk-ant-%s", marker)

    out = capsys.readouterr().out
    assert marker not in out
    assert "upstream said: bad key sk-***" in out


def test_file_is_rotated_and_nothing_goes_to_standard_output(tmp_path, capsys):
    file = tmp_path / "logs" / "proxy.log"
    configure_logging(replace(JSON, file=file, max_bytes=1000, backup_count=2))

    for number in range(100):
        LOG.info("line", number=number)

    assert capsys.readouterr().out == ""
    names = sorted(path.name for path in file.parent.iterdir())
    assert names == ["proxy.log", "proxy.log.1", "proxy.log.2"]
    last = json.loads(file.read_text().splitlines()[-1])
    assert last["number"] == 99


def test_second_configuration_replaces_the_first(tmp_path, lines):
    first = tmp_path / "first.log"
    logger = get_logger("made.before")
    configure_logging(replace(JSON, file=first, level="error"))
    (file_handler,) = logging.getLogger().handlers
    configure_logging(replace(JSON, service="second"))

    logger.info("ours")
    logging.getLogger("some.library").warning("theirs")

    assert first.read_text() == ""
    assert [line["service"] for line in lines()] == ["second", "second"]
    assert len(logging.getLogger().handlers) == 1
    assert file_handler not in logging.getLogger().handlers
