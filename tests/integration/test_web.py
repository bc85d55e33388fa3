"""What holds for every service over HTTP, asked of a real server on a real socket."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import psutil
import pytest

from tests.support.plain_http import NO_CERTIFICATES
from tests.support.small_service import MOST_INSIDE

ROOT = Path(__file__).parents[2]
MEGABYTE = 1024 * 1024


@dataclass(frozen=True)
class Service:
    port: int
    process: psutil.Process
    log: Path
    dsn: str

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]


@pytest.fixture(scope="module")
def service(postgres_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    log = tmp_path_factory.mktemp("web") / "log"
    with log.open("w") as out:
        command = [sys.executable, str(ROOT / "tests/support/small_service.py"), postgres_dsn]
        process = subprocess.Popen(
            command, stdout=out, stderr=subprocess.STDOUT, env={**os.environ, "PYTHONPATH": str(ROOT)}
        )
        try:
            yield Service(_port(log, process), psutil.Process(process.pid), log, postgres_dsn)
        finally:
            process.terminate()
            process.wait(15)


def _port(log: Path, process: subprocess.Popen[bytes]) -> int:
    for _ in range(400):
        if found := re.search(r"running on http://127\.0\.0\.1:(\d+)", log.read_text()):
            return int(found[1])
        assert process.poll() is None, log.read_text()
        time.sleep(0.05)
    raise AssertionError("the small service did not start")


@pytest.fixture
async def web(service: Service) -> httpx.AsyncClient:
    async with httpx.AsyncClient(base_url=service.url, timeout=20, verify=NO_CERTIFICATES) as client:
        yield client


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert document["status"] == status
    assert {"type", "title"} <= set(document)
    return document


class TestProblems:
    async def test_a_wrong_value_is_pointed_at(self, web: httpx.AsyncClient) -> None:
        wrong = {"activities": [{"type": "call", "points": 1}, {"points": -1}]}
        said = problem(await web.post("/v1/leads", json=wrong), 422)
        assert {error["pointer"]: error["in"] for error in said["errors"]} == {
            "/email": "body",
            "/activities/1/type": "body",
            "/activities/1/points": "body",
        }

    async def test_what_was_sent_is_not_said_back(self, web: httpx.AsyncClient) -> None:
        answer = await web.post("/v1/leads", json={"email": ["anna@example.com"]})
        problem(answer, 422)
        assert "anna" not in answer.text

    async def test_broken_json_says_at_which_character(self, web: httpx.AsyncClient) -> None:
        answer = await web.post("/v1/leads", content=b'{"email": }', headers={"Content-Type": "application/json"})
        assert problem(answer, 422)["errors"] == [
            {"pointer": "", "in": "body", "detail": "JSON decode error at character 10"}
        ]

    async def test_a_wrong_parameter_is_named(self, web: httpx.AsyncClient) -> None:
        (error,) = problem(await web.get("/v1/leads/1?limit=1000"), 422)["errors"]
        assert (error["in"], error["parameter"]) == ("query", "limit")

    async def test_a_thousand_mistakes_get_a_short_answer(self, web: httpx.AsyncClient) -> None:
        wrong = {"email": "a@b.example", "activities": [{"type": "call", "points": -1}] * 1000}
        assert len(problem(await web.post("/v1/leads", json=wrong), 422)["errors"]) == 50

    async def test_json_nested_without_end_is_refused(self, web: httpx.AsyncClient) -> None:
        deep = b"[" * 30_000 + b"]" * 30_000
        answer = await web.post("/v1/leads", content=deep, headers={"Content-Type": "application/json"})
        assert problem(answer, answer.status_code)["status"] in (400, 422)

    async def test_nothing_there_and_the_wrong_method(self, web: httpx.AsyncClient) -> None:
        problem(await web.get("/v1/nothing"), 404)
        refused = await web.delete("/v1/leads")
        problem(refused, 405)
        assert refused.headers["allow"] == "POST"

    async def test_a_refusal_names_the_owner(self, web: httpx.AsyncClient) -> None:
        assert problem(await web.get("/v1/owned"), 409)["owner"] == "handover"

    async def test_plain_routes_say_it_in_the_same_way(self, web: httpx.AsyncClient) -> None:
        said = problem(await web.get("/raw/refusal"), 422)
        assert said["errors"] == [{"pointer": "/email", "detail": "has no domain"}]

    async def test_a_bug_is_noted_here_and_says_nothing_there(self, web: httpx.AsyncClient, service: Service) -> None:
        answer = await web.get("/v1/bug", headers={"X-Request-Id": "bug-1"})
        problem(answer, 500)
        assert "secret" not in answer.text
        assert "Traceback" not in answer.text
        (line,) = [line for line in service.lines() if line.get("request_id") == "bug-1"]
        assert (line["route"], line["level"]) == ("/v1/bug", "error")
        assert line["exception"].startswith("RuntimeError")
        assert re.search(r"small_service\.py:\d+:bug", str(line["at"]))

    async def test_a_failure_after_the_first_byte_cuts_the_answer(self, web: httpx.AsyncClient) -> None:
        with pytest.raises(httpx.RemoteProtocolError):
            await web.get("/answered-early")


class TestKeys:
    @pytest.mark.parametrize(
        "header", [None, "", "Bearer", "Bearer wrong", "the-operators-key", "Basic the-operators-key"]
    )
    async def test_without_the_operators_key_there_is_no_way_in(
        self, web: httpx.AsyncClient, header: str | None
    ) -> None:
        answer = await web.get("/v1/operators-only", headers={} if header is None else {"Authorization": header})
        problem(answer, 401)
        assert answer.headers["www-authenticate"] == "Bearer"

    @pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
    async def test_with_it_there_is(self, web: httpx.AsyncClient, scheme: str) -> None:
        answer = await web.get("/v1/operators-only", headers={"Authorization": f"{scheme} the-operators-key"})
        assert answer.json() == {"operator": True}

    async def test_a_key_that_is_no_text_is_only_wrong(self, web: httpx.AsyncClient) -> None:
        problem(await web.get("/v1/operators-only", headers={"Authorization": b"Bearer \xff\xfe"}), 401)


class TestEveryAnswer:
    async def test_bears_an_id_of_ours_or_the_callers(self, web: httpx.AsyncClient) -> None:
        ids = [(await web.get("/v1/leads/1")).headers["x-request-id"] for _ in range(2)]
        assert len(set(ids)) == 2
        assert all(re.fullmatch(r"[0-9a-f-]{36}", one) for one in ids)
        kept = await web.get("/v1/leads/1", headers={"X-Request-Id": "web-4711"})
        assert kept.headers["x-request-id"] == "web-4711"

    @pytest.mark.parametrize("given", ["a" * 65, "anna@example.com", "a b", "<script>", ""])
    async def test_does_not_repeat_an_id_that_could_be_anything(self, web: httpx.AsyncClient, given: str) -> None:
        answer = await web.get("/v1/leads/1", headers={"X-Request-Id": given})
        assert re.fullmatch(r"[0-9a-f-]{36}", answer.headers["x-request-id"])

    async def test_is_one_step_of_the_callers_trace(self, web: httpx.AsyncClient) -> None:
        given = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        inside = (await web.get("/v1/leads/1", headers={"traceparent": given})).json()["traceparent"]
        assert inside.startswith("00-0af7651916cd43dd8448eb211c80319c-")
        assert inside != given
        others = {(await web.get("/v1/leads/1")).json()["traceparent"] for _ in range(3)}
        assert len({one.split("-")[1] for one in others}) == 3

    @pytest.mark.parametrize("path", ["/v1/leads/1", "/v1/nothing", "/v1/bug", "/livez", "/docs"])
    async def test_is_safe_in_a_browser(self, web: httpx.AsyncClient, path: str) -> None:
        headers = (await web.get(path)).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "script-src 'self';" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert "server" not in headers

    async def test_keeps_what_its_route_has_set_itself(self, web: httpx.AsyncClient) -> None:
        answer = await web.get("/embedded")
        assert answer.headers.get_list("content-security-policy") == ["frame-ancestors *"]
        assert answer.headers.get_list("cache-control") == ["max-age=60"]

    async def test_about_a_person_is_kept_nowhere(self, web: httpx.AsyncClient) -> None:
        assert (await web.get("/v1/leads/1")).headers["cache-control"] == "no-store"


class TestOutages:
    @pytest.fixture
    async def held(self, service: Service) -> None:
        holder = await asyncpg.connect(service.dsn)
        await holder.execute("CREATE TABLE IF NOT EXISTS held_by_the_test ()")
        transaction = holder.transaction()
        await transaction.start()
        await holder.execute("LOCK TABLE held_by_the_test")
        yield
        await transaction.rollback()
        await holder.execute("DROP TABLE held_by_the_test")
        await holder.close()

    @pytest.mark.usefixtures("held")
    @pytest.mark.parametrize("kind", ["refused", "silent", "locked", "locked-for-sqlalchemy", "slow"])
    async def test_a_database_that_is_away_is_said_within_a_quarter_of_a_second(
        self, web: httpx.AsyncClient, kind: str
    ) -> None:
        await web.get(f"/database/{kind}")  # pools connect on first use; that is not what is timed
        started = time.perf_counter()
        answer = await web.get(f"/database/{kind}")
        took = time.perf_counter() - started
        assert problem(answer, 503)["type"] == "urn:leadline:problem:unavailable"
        assert answer.headers["retry-after"] == "1"
        # The deadline of the attempt itself is 100 ms on locks, 200 ms on connections.
        assert took < 0.25

    async def test_a_wrong_argument_is_a_bug_and_no_outage(self, web: httpx.AsyncClient) -> None:
        problem(await web.get("/database/wrong"), 500)


def chunks(total: int, size: int = 64 * 1024) -> Iterator[bytes]:
    for _ in range(total // size):
        yield b"x" * size


class TestBodies:
    @pytest.mark.parametrize("path", ["/v1/leads", "/raw", "/v1/nothing"])
    async def test_a_declared_length_over_the_cap_is_refused_before_a_byte_is_read(
        self, service: Service, path: str
    ) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
        writer.write(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 209715200\r\n\r\n".encode())
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 1)
        assert head.startswith(b"HTTP/1.1 413")
        assert b"connection: close" in head.lower()
        assert json.loads(await reader.readexactly(int(re.search(rb"content-length: (\d+)", head)[1])))["status"] == 413
        writer.close()

    @pytest.mark.parametrize(("path", "cap"), [("/raw", 64 * 1024), ("/v1/large", 1_000_000)])
    @pytest.mark.parametrize("chunked", [True, False])
    async def test_the_cap_is_exact(self, web: httpx.AsyncClient, path: str, cap: int, chunked: bool) -> None:
        async def send(size: int) -> httpx.Response:
            body = b"x" * size
            return await web.post(path, content=iter_async(body) if chunked else body)

        assert (await send(cap)).json() == {"bytes": cap}
        assert problem(await send(cap + 1), 413)["detail"] == f"At most {cap} bytes are taken here."

    @pytest.mark.parametrize("path", ["/v1/leads", "/raw", "/v1/large"])
    def test_200_mb_in_chunks_are_refused_and_leave_memory_as_it_was(self, service: Service, path: str) -> None:
        post_chunked(service, path, 1 * MEGABYTE)  # what the first refusal allocates once is not growth
        before, peak = service.process.memory_info().rss, 0

        def watched() -> Iterator[bytes]:
            nonlocal peak
            for count, chunk in enumerate(chunks(200 * MEGABYTE)):
                if count % 100 == 0:
                    peak = max(peak, service.process.memory_info().rss)
                yield chunk

        status, closed = post_chunked(service, path, watched())
        after = service.process.memory_info().rss
        assert (status, closed) == (413, True)
        assert max(peak, after) - before < 8 * MEGABYTE

    def test_a_caller_who_reads_only_when_it_has_sent_all_gets_its_answer_and_no_reset(self, service: Service) -> None:
        with socket.create_connection(("127.0.0.1", service.port), timeout=5) as caller:
            caller.sendall(b"POST /raw HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in range(100):
                caller.sendall(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")
                time.sleep(0.001)
            caller.sendall(b"0\r\n\r\n")
            answer = b""
            while part := caller.recv(4096):
                answer += part
        assert answer.startswith(b"HTTP/1.1 413")
        assert answer.count(b"HTTP/1.1") == 1

    def test_a_caller_who_sends_without_end_is_cut_off(self, service: Service) -> None:
        with socket.create_connection(("127.0.0.1", service.port)) as endless:
            endless.sendall(b"POST /raw HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            started = time.monotonic()
            with pytest.raises(OSError, match=r"reset|Broken pipe"):
                send_until_cut_off(endless, seconds=10)
            assert time.monotonic() - started < 4

    def test_a_body_that_a_route_does_not_read_is_read_all_the_same(self, service: Service) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=5)
        for _ in range(3):
            connection.request("POST", "/v1/unread", body=iter([b"hello"]), encode_chunked=True)
            answer = connection.getresponse()
            assert (answer.read(), answer.getheader("connection")) == (b'{"read":false}', None)
        connection.close()

    def test_a_refused_connection_is_followed_by_a_good_one(self, service: Service) -> None:
        for _ in range(20):
            assert post_chunked(service, "/raw", 1 * MEGABYTE)[0] == 413
            assert post_chunked(service, "/raw", [b"ok"])[0] == 200

    async def test_whoever_hangs_up_in_the_middle_is_forgotten(self, service: Service, web: httpx.AsyncClient) -> None:
        before = len(service.lines())
        for path in (b"/raw", b"/v1/leads"):
            _reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
            writer.write(b"POST " + path + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhalf")
            await writer.drain()
            await asyncio.sleep(0.1)
            writer.close()
            await asyncio.sleep(0.1)
        assert (await web.get("/livez")).status_code == 200
        assert len(service.lines()) == before


def send_until_cut_off(caller: socket.socket, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        caller.sendall(b"10000\r\n" + b"x" * 65536 + b"\r\n")


async def iter_async(body: bytes) -> Any:
    for start in range(0, len(body), 10_000):
        yield body[start : start + 10_000]


def post_chunked(service: Service, path: str, body: int | Any) -> tuple[int, bool]:
    """The status, and whether the server closed the connection, for a caller who reads only once it has sent all."""
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=20)
    given = chunks(body) if isinstance(body, int) else iter(body)
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        connection.request("POST", path, body=given, headers={"Transfer-Encoding": "chunked"}, encode_chunked=True)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status, answer.getheader("connection") == "close"


class TestSelfDescription:
    async def test_it_is_alive_and_ready_part_by_part(self, web: httpx.AsyncClient) -> None:
        assert (await web.get("/livez")).json() == {"live": True}
        assert (await web.get("/readyz")).json() == {"ready": True, "parts": {"database": "ready", "bus": "ready"}}
        await web.post("/test/database/false")
        try:
            said = problem(await web.get("/readyz"), 503)
            assert said["parts"] == {"database": "the database is being moved", "bus": "ready"}
            assert (await web.get("/livez")).status_code == 200
        finally:
            await web.post("/test/database/true")

    async def test_its_figures_name_routes_and_never_ids(self, web: httpx.AsyncClient) -> None:
        await web.get("/v1/leads/0198c5f2-canary")
        await web.get("/nowhere/0198c5f2-canary")
        text = (await web.get("/metrics")).text
        counts = dict(re.findall(r"leadline_http_seconds_count\{(.*?)\} ([\d.]+)", text))
        assert float(counts['method="GET",route="/v1/leads/{lead_id}",service="small",status="200"']) >= 1
        assert float(counts['method="GET",route="(none)",service="small",status="404"']) >= 1
        assert "canary" not in text

    async def test_its_api_is_described_with_its_errors(self, web: httpx.AsyncClient) -> None:
        document = (await web.get("/openapi.json")).json()
        assert set(document["paths"]) >= {"/v1/leads", "/v1/leads/{lead_id}"}
        assert not set(document["paths"]) & {"/livez", "/metrics", "/docs"}
        answers = document["paths"]["/v1/leads"]["post"]["responses"]
        assert "application/problem+json" in answers["default"]["content"]
        assert "422" not in answers
        assert document["paths"]["/v1/operators-only"]["get"]["security"] == [{"Key": []}]

    async def test_its_page_loads_nothing_from_elsewhere(self, web: httpx.AsyncClient) -> None:
        page = await web.get("/docs")
        assert page.headers["content-type"].startswith("text/html")
        for place in re.findall(r'(?:src|href)="([^"]+)"', page.text):
            assert "//" not in place
            if place != "data:,":
                assert (await web.get(f"/{place}")).status_code == 200


class TestCrowds:
    async def test_a_thousand_who_say_nothing_and_hundreds_who_dawdle_take_nobodys_answer(
        self, service: Service, web: httpx.AsyncClient
    ) -> None:
        silent = [await asyncio.open_connection("127.0.0.1", service.port) for _ in range(500)]
        half = [await begin(service, b"POST /raw HTTP/1.1\r\nHost: x\r\nX-Slow: ") for _ in range(500)]
        dawdling = b"POST /raw HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx"
        slow = [await begin(service, dawdling) for _ in range(MOST_INSIDE + 1)]
        answers = [await web.post("/v1/leads", json={"email": f"{n}@good.example"}) for n in range(300)]
        assert {answer.status_code for answer in answers} == {200}
        for reader, _ in (*silent, *half):
            assert await asyncio.wait_for(reader.read(), 5) == b""
        for _, writer in (*silent, *half, *slow):
            writer.close()

    @pytest.mark.parametrize("piece", [b"X-Long: " + b"y" * 4096 + b"\r\n", b"y" * 4096])
    async def test_a_head_that_never_ends_is_cut_off(self, service: Service, piece: bytes) -> None:
        reader, writer = await begin(service, b"GET /livez HTTP/1.1\r\nHost: x\r\nX-First: ")
        with contextlib.suppress(OSError):
            for _ in range(100):
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
        with contextlib.suppress(OSError):
            assert b" 200 " not in await asyncio.wait_for(reader.read(), 1)
        writer.close()

    async def test_more_than_can_be_answered_are_told_so_while_health_and_the_rest_go_on(
        self, service: Service, web: httpx.AsyncClient
    ) -> None:
        inside = [await begin(service, b"GET /busy HTTP/1.1\r\nHost: x\r\n\r\n") for _ in range(MOST_INSIDE)]
        for _ in range(100):
            answer = await web.get("/v1/owned")
            if answer.status_code == 503:
                break
            await asyncio.sleep(0.02)
        assert problem(answer, 503)["detail"] == "too many requests are in work; ask again in a moment"
        assert answer.headers["retry-after"] == "1"
        assert problem(await web.post("/v1/leads", json={"email": "a@good.example"}), 503) == problem(answer, 503)
        assert (await web.get("/livez")).status_code == 200
        assert (await web.get("/always/at-last")).status_code == 200
        for reader, writer in inside:
            assert (await asyncio.wait_for(reader.readline(), 5)).startswith(b"HTTP/1.1 200")
            writer.close()
        problem(await web.get("/v1/owned"), 409)


async def begin(service: Service, words: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.write(words)
    return reader, writer


async def test_addresses_that_were_asked_for_are_not_in_the_log(service: Service, web: httpx.AsyncClient) -> None:
    await web.get("/v1/leads/1?token=canary-link")
    await web.get("/v1/bug?token=canary-link")
    assert "canary-link" not in service.log.read_text()
