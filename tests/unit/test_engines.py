"""What each engine is told on its command line, and what is read out of the user's part of it."""

from typing import Any, get_args

import pytest

from llmendpoint.api.serving import EngineType
from llmendpoint.engines import engine_for
from llmendpoint.engines.facts import argument, group_size, slots
from support.builders import endpoint


def arguments(kind: str, *given: str, **spec: Any) -> list[str]:
    engine = {"type": kind, "args": list(given), **spec.pop("engine", {})}
    made = endpoint(engine=engine, **spec).spec
    return engine_for(made.engine.type).arguments(made)


@pytest.mark.parametrize(
    ("args", "value"),
    [
        ([], None),
        (["--flag"], None),
        (["--flag=1"], "1"),
        (["--flag", "1"], "1"),
        (["--flag=1", "--other", "--flag", "2"], "2"),
        (["--flag", "2", "--flag=1"], "1"),
        (["--flagship=1"], None),
        (["--other_flag=1", "--flag=a_b"], "a_b"),
        (["--flag="], ""),
    ],
)
def test_the_last_value_of_a_flag_counts(args: list[str], value: str | None) -> None:
    assert argument(args, "--flag") == value


@pytest.mark.parametrize(
    ("limits", "number"),
    [
        ({"nvidia.com/gpu": 4}, 4),
        ({"amd.com/gpu": "2"}, 2),
        ({"nvidia.com/gpu": 1, "cpu": "8", "memory": "64Gi"}, 1),
        ({"google.com/tpu": 8}, 8),
        ({"habana.ai/gaudi": 8}, 8),
        ({"gpu.intel.com/xe": 2}, 2),
        ({"amd.com/cpx_nps4": 4}, 4),
        ({"amd.com/tpx_nps1": 3}, 3),
        ({"aws.amazon.com/neuroncore": 2}, 2),
        ({"aws.amazon.com/neuron": 2}, 0),
        ({"nvidia.com/mig-1g.10gb": 2}, 0),
        ({"nvidia.com/gpu.shared": 2}, 0),
        ({"nvidia.com/gpu": "many"}, 0),
        ({"nvidia.com/gpu": "²"}, 0),
        (None, 0),
    ],
)
def test_a_model_is_split_over_accelerators_that_work_together(
    limits: dict[str, int | str] | None, number: int
) -> None:
    assert group_size(endpoint(engine={"resources": {"limits": limits}}).spec) == number


@pytest.mark.parametrize(
    ("product", "number"),
    [
        ("NVIDIA-H100-80GB-HBM3", 2),
        ("NVIDIA-H100-80GB-HBM3-MIG-1g.10gb", 0),
        ("NVIDIA-L4-SHARED", 0),
    ],
)
def test_a_product_says_whether_its_gpus_are_parts(product: str, number: int) -> None:
    engine = {"accelerator": product, "resources": {"limits": {"nvidia.com/gpu": 2}}}
    assert group_size(endpoint(engine=engine).spec) == number


@pytest.mark.parametrize(
    ("kind", "args", "number"),
    [
        ("vLLM", [], 256),
        ("vLLM", ["--max-num-seqs=32"], 32),
        ("vLLM", ["--max_num_seqs", "32"], 32),
        ("vLLM", ["--max-num-seqs", "all"], 256),
        ("vLLM", ["--max-num-seqs=²"], 256),
        ("TGI", [], 128),
        ("TGI", ["--max-concurrent-requests", "64"], 64),
        ("SGLang", [], 256),
        ("SGLang", ["--max-running-requests=64"], 64),
    ],
)
def test_batch_slots_are_the_flags_or_the_engines_default(kind: str, args: list[str], number: int) -> None:
    made = endpoint(engine={"type": kind, "args": args}).spec
    assert slots(engine_for(made.engine.type), made) == number


@pytest.mark.parametrize("given", [(), ("--max-num-seqs=64",), ("--max-num-seqs", "64")])
def test_vllm_is_told_how_many_requests_run_at_once_unless_the_user_does(given: tuple[str, ...]) -> None:
    own = [arg for arg in arguments("vLLM", *given) if arg.startswith("--max-num-seqs")]
    assert own == ([] if given else ["--max-num-seqs=256"])


FOUR_GPUS = {"engine": {"resources": {"limits": {"nvidia.com/gpu": 4}}}}


@pytest.mark.parametrize(
    ("kind", "flag", "own"),
    [
        ("vLLM", "--tensor-parallel-size=4", "--tensor-parallel-size=2"),
        ("vLLM", "--tensor-parallel-size=4", "--tensor_parallel_size=2"),
        ("vLLM", "--tensor-parallel-size=4", "-tp=2"),
        ("TGI", "--num-shard=4", "--num-shard=2"),
        ("SGLang", "--tp-size=4", "--tp-size=2"),
        ("SGLang", "--tp-size=4", "--tp=2"),
    ],
)
def test_several_gpus_are_shared_out_unless_the_user_does_it(kind: str, flag: str, own: str) -> None:
    assert flag in arguments(kind, **FOUR_GPUS)
    assert flag not in arguments(kind, own, **FOUR_GPUS)
    assert flag.partition("=")[0] not in " ".join(arguments(kind))


@pytest.mark.parametrize(
    ("kind", "given", "flag"),
    [
        ("vLLM", ["--pipeline-parallel-size=2"], "--tensor-parallel-size=4"),
        ("vLLM", ["-pp", "2", "--data_parallel_size=2"], "--tensor-parallel-size=2"),
        ("vLLM", ["-dp=8"], None),
        ("vLLM", ["-dp=0", "--pipeline-parallel-size=auto"], "--tensor-parallel-size=8"),
        ("SGLang", ["--pp-size=2"], "--tp-size=4"),
        ("SGLang", ["--dp-size=2", "--pipeline-parallel-size", "2"], "--tp-size=2"),
        ("SGLang", ["--dp-size=8", "--enable-dp-attention"], "--tp-size=8"),
        ("SGLang", ["--attn-dp-size=8"], "--tp-size=8"),
    ],
)
def test_stages_and_data_parallel_ranks_share_out_the_gpus_first(kind: str, given: list[str], flag: str | None) -> None:
    made = arguments(kind, *given, engine={"resources": {"limits": {"nvidia.com/gpu": 8}}})
    assert [arg for arg in made if arg.startswith(("--tensor-parallel-size", "--tp-size"))] == ([flag] if flag else [])


@pytest.mark.parametrize("kind", get_args(EngineType))
def test_a_revision_is_passed_on(kind: str) -> None:
    assert "--revision=v2" in arguments(kind, model={"source": "hf://acme/llama", "revision": "v2"})


def test_vllm_streams_weights_from_object_storage() -> None:
    args = arguments("vLLM", model={"source": "s3://bucket/llama"})
    assert args[0] == "s3://bucket/llama"
    assert "--load-format=runai_streamer" in args


@pytest.mark.parametrize("kind", get_args(EngineType))
def test_every_metric_that_is_read_is_the_engines_own(kind: EngineType) -> None:
    names = engine_for(kind).metrics
    assert {*names.running, *names.waiting, *names.requests, *names.generation_tokens} <= names.wanted
    assert [name for name in names.wanted if not name.startswith(names.prefix)] == []


def test_sglang_gets_its_key_on_its_command_line_without_the_manifest_knowing_it() -> None:
    assert not [arg for arg in arguments("SGLang") if arg.startswith("--api-key")]
    key = {"apiKeySecretRef": {"name": "llama-key", "key": "key"}}
    assert "--api-key=$(SGLANG_SERVER_KEY)" in arguments("SGLang", engine=key)
