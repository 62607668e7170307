"""The LLM's client against a real server: what is asked again, what is not, and what comes through unharmed."""

import asyncio

import pytest

from rag.llm import Llm, LlmError, LlmTimeout, LlmUnavailable
from support.prometheus import free_port
from support.scripted_llm import ScriptedLlm

ASKED = [{"role": "system", "content": "Answer."}, {"role": "user", "content": "why?"}]
Server = tuple[ScriptedLlm, str]


async def complete(url: str, seconds: float = 10.0) -> str:
    client = Llm(url, "tiny", "key")
    try:
        return await client.complete(ASKED, seconds=seconds, max_tokens=50)
    finally:
        await client.aclose()


async def test_a_busy_engine_is_asked_again(llm: Server) -> None:
    server, url = llm
    server.statuses = [503, 429]
    assert await complete(url) == "I do not know."
    assert len(server.requests) == 3
    assert len(server.connections) == 3, "each try has a connection of its own"


async def test_a_busy_engine_is_not_asked_before_the_time_that_it_names(llm: Server) -> None:
    server, url = llm
    server.statuses, server.retry_after = [503], "1"
    clock = asyncio.get_running_loop().time
    began = clock()
    assert await complete(url) == "I do not know."
    assert clock() - began >= 1
    server.statuses, server.retry_after = [429], "30"
    began = clock()
    with pytest.raises(LlmUnavailable, match="scripted 429"):
        await complete(url)
    assert clock() - began < 5, "that time is beyond the budget"
    assert len(server.requests) == 3


@pytest.mark.parametrize("status", [400, 401, 500])
async def test_a_refusal_is_not_asked_again(llm: Server, status: int) -> None:
    server, url = llm
    server.statuses = [status]
    with pytest.raises(LlmError, match=f"answers {status}: .*scripted {status}"):
        await complete(url)
    assert len(server.requests) == 1


async def test_asking_again_ends_with_the_budget_and_with_the_reason(llm: Server) -> None:
    server, url = llm
    server.statuses = [503] * 100
    with pytest.raises(LlmUnavailable, match="scripted 503"):
        await asyncio.wait_for(complete(url, seconds=1.0), 3)


async def test_nobody_there(llm: Server) -> None:
    with pytest.raises(LlmUnavailable, match="does not answer: ConnectError"):
        await complete(f"http://127.0.0.1:{free_port()}", seconds=0.5)


async def test_an_answer_that_broke_off_is_not_asked_again(llm: Server) -> None:
    server, url = llm
    server.cut = True
    with pytest.raises(LlmError, match="broke off"):
        await complete(url)
    assert len(server.requests) == 1


async def test_an_answer_that_stands_still_ends_with_its_time(llm: Server) -> None:
    server, url = llm
    server.hold = True
    with pytest.raises(LlmTimeout, match=r"not done within 0\.5 s"):
        await complete(url, seconds=0.5)


async def test_line_separators_of_unicode_end_no_event(llm: Server) -> None:
    server, url = llm
    server.reply = lambda _: "one\u2028two\u0085three"
    assert await complete(url) == "one\u2028two\u0085three"


async def test_an_error_within_a_stream_is_an_error(llm: Server) -> None:
    server, url = llm
    server.error = "out of memory"
    with pytest.raises(LlmError, match="out of memory"):
        await complete(url)


async def test_a_connection_that_ends_before_the_answer_is_asked_again_once(llm: Server) -> None:
    server, url = llm
    server.drops = 1
    assert await complete(url) == "I do not know."
    assert len(server.requests) == 2


async def test_a_request_that_engines_die_of_is_not_carried_to_all_of_them(llm: Server) -> None:
    server, url = llm
    server.drops = 100
    with pytest.raises(LlmUnavailable, match="does not answer: RemoteProtocolError"):
        await complete(url)
    assert len(server.requests) == 2


async def test_a_stream_without_an_end_is_no_whole_answer(llm: Server) -> None:
    server, url = llm
    server.ends_early = True
    with pytest.raises(LlmError, match="broke off its answer: it ends without"):
        await complete(url)


async def test_what_keeps_a_connection_alive_is_no_token(llm: Server) -> None:
    server, url = llm
    server.silent = True
    client = Llm(url, "tiny", None)
    with pytest.raises(LlmTimeout, match=r"fell silent for 0\.5 s"):
        async with asyncio.timeout(5):
            [piece async for piece in client.stream(ASKED, seconds=0.5, max_tokens=5)]
    await client.aclose()
    server.silent = False


@pytest.mark.parametrize("url", ["engine:8000", "http://engine:port"])
async def test_an_address_that_is_none_is_said_at_once(url: str) -> None:
    with pytest.raises(LlmError, match="LLM_BASE_URL is no address"):
        await asyncio.wait_for(complete(url), 2)
