"""What the asynchronous API's processes are told, and to whom its webhooks go."""

import base64
from datetime import UTC, datetime

import pytest
from yarl import URL

from jobqueue.jobs import Job
from jobqueue.options import ServeOptions, WorkOptions, parse
from jobqueue.requests import Refused, check_key, read_submission
from jobqueue.webhooks import AllowedHosts, message, secret_bytes, signed_headers

SERVE = ["serve", "--name=team/llama", "--port=8000", "--control-port=9901", "--max-queued=10", "--result-ttl=60"]
WORK = [
    "work", "--name=team/llama", "--engine-url=http://engine:8000", "--control-port=9901", "--concurrency=4",
    "--timeout=600", "--max-attempts=3", "--result-ttl=60",
]  # fmt: skip
REDIS = {"REDIS_URL": "redis://redis:6379/0"}
SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()


def test_secrets_come_from_the_environment() -> None:
    options = parse([*WORK, "--webhooks"], {**REDIS, "OPENAI_API_KEY": "sk-1", "WEBHOOK_SECRET": SECRET})
    assert isinstance(options, WorkOptions)
    assert (options.redis_url, options.api_key, options.webhook_secret) == (REDIS["REDIS_URL"], "sk-1", b"k" * 32)


def test_webhooks_are_off_unless_they_are_asked_for() -> None:
    serve, work = parse([*SERVE, "--webhook-hosts=a.example"], REDIS), parse(WORK, {**REDIS, "WEBHOOK_SECRET": SECRET})
    assert isinstance(serve, ServeOptions)
    assert isinstance(work, WorkOptions)
    assert (serve.webhook_hosts, work.webhook_secret) == (None, None)


@pytest.mark.parametrize(
    ("arguments", "environment", "says"),
    [
        (SERVE, {}, "REDIS_URL is not set"),
        ([*WORK, "--webhooks"], REDIS, "WEBHOOK_SECRET must be whsec_"),
        ([*WORK, "--webhooks"], {**REDIS, "WEBHOOK_SECRET": "whsec_short"}, "24 to 64"),
        ([*SERVE, "--webhooks", "--webhook-hosts=*"], REDIS, "neither HOST nor"),
    ],
)
def test_what_is_missing_or_wrong_ends_the_process_with_a_sentence(
    arguments: list[str], environment: dict[str, str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(arguments, environment)
    assert ended.value.code == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://a.example/hook", True),
        ("http://A.example", True),
        ("https://a.example:443/", True),
        ("https://a.example:8443/", False),
        ("https://c.example:8443/", True),
        ("https://c.example/", False),
        ("https://deep.er.b.example/", True),
        ("https://b.example/", False),
        ("https://notb.example/", False),
        ("https://user:word@a.example/", False),
        ("https://a.example.evil/", False),
        ("ftp://a.example/", False),
        ("/hook", False),
        ("https://münchen.example/", True),
        ("https://xn--mnchen-3ya.example/", True),
        ("https://a.example./", False),
        ("https://.b.example/", False),
        ("https://a..b.example/", False),
        (f"https://{'a' * 64}.b.example/", False),
        ("http://[::1%25.b.example]/", False),
        ("http://10.0.0.1%.b.example/", False),
    ],
)
def test_a_webhook_goes_to_named_hosts_and_ports_only(url: str, allowed: bool) -> None:
    hosts = AllowedHosts.parse("a.example, *.b.example,c.example:8443,xn--mnchen-3ya.example")
    assert hosts.allow(URL(url)) is allowed


def test_no_host_is_allowed_where_none_is_named() -> None:
    assert not AllowedHosts.parse("").allow(URL("https://a.example/"))


def test_header_bytes_that_are_no_text_are_read_like_others() -> None:
    # As aiohttp gives the byte FF.
    with pytest.raises(Refused, match="Bearer KEY"):
        check_key({"Authorization": "Bearer \udcff"}, "sk-1")
    assert read_submission("/v1/completions", b"{}", {"Idempotency-Key": "\udcff"}, None).idempotency_digest
    with pytest.raises(Refused, match="Webhook-URL must be"):
        read_submission(
            "/v1/completions", b"{}", {"Webhook-URL": "https://a.example/\udcff"}, AllowedHosts.parse("a.example")
        )


def test_a_message_is_signed_as_standard_webhooks_has_it() -> None:
    # The example of the specification's own libraries.
    key = secret_bytes("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    now = datetime.fromtimestamp(1614265330, UTC)
    headers = signed_headers(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}', now)
    assert headers["webhook-timestamp"] == "1614265330"
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_webhook_says_which_job_ended_how() -> None:
    job = Job("job_1", "/v1/completions", "cancelled", attempts=1, created_at=1.5)
    text = message(job, datetime(2026, 11, 26, tzinfo=UTC)).decode()
    assert text.startswith('{"type":"job.cancelled","timestamp":"2026-11-26T00:00:00+00:00","data":{"id":"job_1",')
