"""API and workers as processes that come and go, with a real Redis and simulated engines."""

import os
import signal
from collections.abc import Iterator

import httpx
import pytest
from redis import Redis

from support.prometheus import Simulator, running_simulator
from support.queues import Queue, job, queue, submit, wait_until
from support.redis_servers import RedisServer

VLLM = ("vllm", "serve", "acme/llama", "--served-model-name", "tiny")
ENGINE = {"ENGINESIM_ITERATION_SECONDS": "0.005", "ENGINESIM_PER_SEQUENCE_SECONDS": "0.0001"}


@pytest.fixture(scope="module")
def lasting_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    with running_simulator(tmp_path_factory.mktemp("engine"), *VLLM, **ENGINE) as simulator:
        yield simulator


@pytest.fixture
def engine(lasting_engine: Simulator) -> Iterator[Simulator]:
    yield lasting_engine
    lasting_engine.set_faults(hang=False, unhealthy=False, refuse_requests=False)


@pytest.fixture(scope="module")
def lasting_queue(
    tmp_path_factory: pytest.TempPathFactory, redis_server: RedisServer, lasting_engine: Simulator
) -> Iterator[Queue]:
    with queue(tmp_path_factory.mktemp("queue"), redis_server.url, f"http://{lasting_engine.address}") as one:
        one.serve()
        yield one


@pytest.fixture
def some(lasting_queue: Queue, redis_server: RedisServer) -> Iterator[Queue]:
    """An API with an empty queue and no worker."""
    wait_until(lambda: lasting_queue.api.is_well, 60, "the API listens")
    with Redis.from_url(redis_server.url) as redis:
        redis.flushall()
    yield lasting_queue
    lasting_queue.kill_workers()


def ended(some: Queue, job_id: str, seconds: float = 60) -> dict[str, object]:
    """A job when it is no longer open."""
    wait_until(lambda: job(some.url, job_id)["status"] not in {"queued", "in_progress"}, seconds, f"{job_id} ends")
    return job(some.url, job_id)


def test_a_worker_has_an_engine_answer_and_counts_its_tokens(some: Queue) -> None:
    worker = some.work()
    done = ended(some, submit(some.url, tokens=5))
    assert (done["status"], done["attempts"]) == ("completed", 1)
    assert done["response"]["body"]["usage"]["completion_tokens"] == 5  # type: ignore[index]
    wait_until(lambda: worker.metric("llmendpoint_jobs_running") == 0, 10, "the place is free")
    assert worker.metric('llmendpoint_jobs_tokens_total{kind="completion"}') == 5
    assert worker.metric('llmendpoint_jobs_attempts_total{result="answered"}') == 1
    assert worker.metric("llmendpoint_jobs_wait_seconds_count") == 1


def test_nothing_is_taken_while_the_engine_is_not_ready_so_that_it_can_be_cancelled(
    some: Queue, engine: Simulator
) -> None:
    engine.set_faults(unhealthy=True)
    worker = some.work()
    wait_until(lambda: worker.is_well, 60, "the worker listens")
    first, second = submit(some.url), submit(some.url)
    assert httpx.post(f"{some.url}/v1/jobs/{first}/cancel").json()["status"] == "cancelled"
    engine.set_faults(unhealthy=False)
    assert ended(some, second)["status"] == "completed"
    assert job(some.url, first)["attempts"] == 0


def test_the_backlog_and_the_metrics_tell_what_waits(some: Queue) -> None:
    for _ in range(3):
        submit(some.url)
    backlog = httpx.get(f"{some.api.control}/backlog").json()
    assert (backlog["queued"], backlog["inProgress"]) == (3, 0)
    assert backlog["oldestSeconds"] > 0
    assert some.api.metric("llmendpoint_jobs_queued") == 3
    assert some.api.metric('llmendpoint_jobs_submitted_total{result="queued"}') >= 3


def test_a_job_that_is_cancelled_while_it_runs_frees_the_engine(some: Queue, engine: Simulator) -> None:
    worker = some.work()
    endless = submit(some.url, tokens=4000)
    wait_until(lambda: job(some.url, endless)["status"] == "in_progress", 60, "it runs")
    httpx.post(f"{some.url}/v1/jobs/{endless}/cancel").raise_for_status()
    wait_until(lambda: worker.metric("llmendpoint_jobs_running") == 0, 10, "the worker has let it go")
    running = httpx.get(f"http://{engine.address}/metrics").text
    assert 'vllm:num_requests_running{engine="0",model_name="tiny"} 0' in running


def test_what_an_ending_worker_can_finish_is_finished_and_the_rest_is_another_s(some: Queue) -> None:
    worker = some.work("--lease=30", "--grace=1")
    long, short = submit(some.url, tokens=1000), submit(some.url, tokens=20)
    wait_until(lambda: job(some.url, long)["status"] == "in_progress", 60, "it runs")
    wait_until(lambda: job(some.url, short)["status"] != "queued", 60, "it runs")
    worker.end()
    assert "1 jobs were given back" in worker.log.read_text()
    assert job(some.url, short)["status"] == "completed"
    assert (job(some.url, long)["status"], job(some.url, long)["attempts"]) == ("queued", 0)
    later = some.work("--lease=30")
    done = ended(some, long)
    assert (done["status"], done["attempts"]) == ("completed", 1)
    assert later.metric("llmendpoint_jobs_taken_over_total") == 1


def test_the_answer_of_a_worker_that_was_thought_dead_changes_nothing(some: Queue) -> None:
    frozen = some.work()
    job_id = submit(some.url, tokens=1000)
    wait_until(lambda: job(some.url, job_id)["status"] == "in_progress", 60, "it runs")
    os.kill(frozen.pid, signal.SIGSTOP)
    some.work()
    done = ended(some, job_id)
    assert (done["status"], done["attempts"]) == ("completed", 2)
    os.kill(frozen.pid, signal.SIGCONT)
    late = ('llmendpoint_jobs_attempts_total{result="too_late"}', 'llmendpoint_jobs_attempts_total{result="lost"}')
    wait_until(lambda: sum(map(frozen.metric, late)) == 1, 60, "it hears that it is too late")
    assert job(some.url, job_id) == done
    assert some.api.metric('llmendpoint_jobs_ended_total{status="completed"}') == 1


def test_attempts_end_when_the_engine_fails_each_of_them(some: Queue, engine: Simulator) -> None:
    engine.set_faults(hang=True)
    some.work("--timeout=0.2", "--max-attempts=2", "--lease=0.5")
    failed = ended(some, submit(some.url))
    assert (failed["status"], failed["attempts"]) == ("failed", 2)
    assert failed["error"] == {"code": "attempts_used_up", "message": "the engine did not answer within 0.2 s"}


def test_an_engine_that_refuses_for_a_while_uses_up_no_attempt(some: Queue, engine: Simulator) -> None:
    engine.set_faults(refuse_requests=True)
    worker = some.work("--max-attempts=1")
    job_id = submit(some.url)
    wait_until(lambda: worker.is_well and worker.metric("llmendpoint_jobs_running") == 1, 60, "it is taken")
    engine.set_faults(refuse_requests=False)
    assert ended(some, job_id)["status"] == "completed"
