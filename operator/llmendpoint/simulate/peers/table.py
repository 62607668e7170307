"""The table of peers: source, the one target of each with its documented value, and the sweep for tuning it."""

from llmendpoint.simulate.peers.aibrix import Aibrix, AibrixSettings
from llmendpoint.simulate.peers.clairvoyant import Clairvoyant
from llmendpoint.simulate.peers.dynamo_load import DynamoLoad, DynamoLoadSettings
from llmendpoint.simulate.peers.dynamo_throughput import DynamoThroughput, DynamoThroughputSettings
from llmendpoint.simulate.peers.hpa import Hpa, HpaSettings
from llmendpoint.simulate.peers.keda import Keda, KedaSettings
from llmendpoint.simulate.peers.knative import Knative, KnativeSettings
from llmendpoint.simulate.peers.kubeai import KubeAi, KubeAiSettings
from llmendpoint.simulate.peers.peer import Peer, Situation
from llmendpoint.simulate.peers.ray_serve import RayServe, RayServeSettings
from llmendpoint.simulate.peers.sagemaker import sagemaker, sagemaker_high_resolution
from llmendpoint.simulate.peers.static import Static
from llmendpoint.simulate.peers.work import usual_work
from llmendpoint.simulate.peers.wva import Wva, WvaSettings
from llmendpoint.simulate.peers.wva_v1 import WvaV1, WvaV1Settings
from llmendpoint.simulate.peers.wva_v2 import WvaV2, WvaV2Settings
from llmendpoint.simulate.span import Span

IN_FLIGHT = "requests in flight per replica"
WVA = "llm-d/llm-d-workload-variant-autoscaler, commit b08b1c7"
AIBRIX = "vllm-project/aibrix, pkg/controller/podautoscaler, commit e3e10f9"
DYNAMO = "ai-dynamo/dynamo, components/src/dynamo/planner"
AWS = "Application Auto Scaling API reference and user guide; SageMaker developer guide, Define a scaling policy"


def _dynamo_load(situation: Situation, target: float) -> DynamoLoad:
    """Both thresholds in the documented ratio."""
    settings = DynamoLoadSettings(scale_up=target, scale_down=0.6 * target)
    return DynamoLoad(settings, situation.known_profile("dynamo-load"), situation.bounds)


def _dynamo_throughput(situation: Situation, target: float) -> DynamoThroughput:
    """Both times in the documented ratio."""
    settings = DynamoThroughputSettings(ttft=target, itl=target / 10)
    return DynamoThroughput(settings, situation.known_profile("dynamo-throughput"), situation.bounds)


def _wva_v1(situation: Situation, target: float) -> Wva:
    return Wva("wva-v1", WvaV1(WvaV1Settings(kv_cache_threshold=target)), WvaSettings(), situation.bounds)


def _wva_v2(situation: Situation, target: float) -> Wva:
    """Both thresholds in the documented ratio."""
    settings = WvaV2Settings(scale_up_threshold=target, scale_down_boundary=target * 0.7 / 0.85)
    return Wva("wva-v2", WvaV2(settings, situation.known_profile("wva-v2")), WvaSettings(), situation.bounds)


def _clairvoyant(situation: Situation, target: float) -> Clairvoyant:
    work = usual_work(situation.known_trace("clairvoyant"), situation.known_profile("clairvoyant"))
    return Clairvoyant(work, situation.bounds, utilization=target, cold_start=situation.cold_start)


PEERS: dict[str, Peer] = {
    peer.name: peer
    for peer in (
        Peer(
            "static",
            source="none",
            target="replicas; 0 keeps those that the replay begins with",
            default=0.0,
            default_source="none",
            sweep=Span(1.0, 100.0, whole=True),
            build=lambda situation, target: Static(target, situation.bounds),
        ),
        Peer(
            "hpa",
            source="kubernetes/kubernetes, pkg/controller/podautoscaler, 1.22; behaviour defaults of 1.35",
            target=IN_FLIGHT,
            default=4.0,
            default_source="kubernetes/examples, AI/vllm-deployment/hpa",
            sweep=Span(0.5, 256.0),
            build=lambda situation, target: Hpa(HpaSettings(target), situation.bounds),
        ),
        Peer(
            "keda",
            source="keda-docs, content/docs/2.17/reference/scaledobject-spec.md",
            target=IN_FLIGHT,
            default=2.0,
            default_source="KServe 0.16, Autoscale InferenceService with LLM metrics",
            sweep=Span(0.5, 256.0),
            build=lambda situation, target: Keda(KedaSettings(target), situation.bounds),
        ),
        Peer(
            "knative",
            source="knative/serving, pkg/autoscaler/scaling/autoscaler.go, commit 00a4a55",
            target="concurrency per replica, of which 70 % are aimed at",
            default=100.0,
            default_source="config/core/configmaps/autoscaler.yaml",
            sweep=Span(0.5, 400.0),
            build=lambda situation, target: Knative(KnativeSettings(target), situation.bounds),
        ),
        Peer(
            "sagemaker",
            source=AWS,
            target="invocations per instance and minute",
            default=70.0,
            default_source="SageMaker developer guide, Define a scaling policy",
            sweep=Span(2.0, 4000.0),
            build=lambda situation, target: sagemaker(situation.bounds, target),
        ),
        Peer(
            "sagemaker-hires",
            source=AWS,
            target="concurrent requests per model",
            default=5.0,
            default_source="SageMaker developer guide, Define a scaling policy",
            sweep=Span(0.5, 256.0),
            build=lambda situation, target: sagemaker_high_resolution(situation.bounds, target),
        ),
        Peer(
            "kubeai",
            source="substratusai/kubeai, internal/modelautoscaler and internal/modelclient, commit 2f32ef4",
            target="targetRequests: active requests per replica",
            default=100.0,
            default_source="Model's targetRequests",
            sweep=Span(0.5, 400.0),
            build=lambda situation, target: KubeAi(KubeAiSettings(target), situation.bounds),
        ),
        Peer(
            "aibrix-apa",
            source=AIBRIX,
            target="KV cache usage per pod, 0 to 1",
            default=0.5,
            default_source="samples/autoscaling/apa.yaml",
            sweep=Span(0.01, 0.95),
            build=lambda situation, target: Aibrix("APA", AibrixSettings(target), situation.bounds),
        ),
        Peer(
            "aibrix-kpa",
            source=AIBRIX,
            target="KV cache usage per pod, 0 to 1",
            default=0.5,
            default_source="samples/autoscaling/kpa.yaml",
            sweep=Span(0.005, 0.95),
            build=lambda situation, target: Aibrix("KPA", AibrixSettings(target), situation.bounds),
        ),
        Peer(
            "wva-v1",
            source=f"{WVA}, internal/saturation/analyzer.go",
            target="kvCacheThreshold, 0 to 1",
            default=0.8,
            default_source="wva-saturation-scaling-config",
            sweep=Span(0.12, 0.95),
            build=_wva_v1,
        ),
        Peer(
            "wva-v2",
            source=f"{WVA}, internal/engines/analyzers/saturation_v2/analyzer.go",
            target="scaleUpThreshold, utilisation; scaleDownBoundary follows",
            default=0.85,
            default_source="wva-saturation-scaling-config",
            sweep=Span(0.05, 1.2),
            build=_wva_v2,
        ),
        Peer(
            "dynamo-load",
            source=f"{DYNAMO}/core/load_scaling.py, commit 0c6da1e",
            target="KV usage of a worker that scales up; the one that scales down follows",
            default=1.0,
            default_source="load_scaling.py, optimization_target throughput",
            sweep=Span(0.02, 1.5),
            build=_dynamo_load,
        ),
        Peer(
            "dynamo-throughput",
            source=f"{DYNAMO}/core/throughput_scaling.py, commit 0c9050c",
            target="time to first token in seconds; the time between tokens follows",
            default=0.5,
            default_source="config/defaults.py",
            sweep=Span(0.1, 20.0),
            build=_dynamo_throughput,
        ),
        Peer(
            "ray-serve",
            source="ray-project/ray, python/ray/serve/autoscaling_policy.py, commit 00590c4",
            target="target_ongoing_requests per replica",
            default=2.0,
            default_source="ray.serve.config.AutoscalingConfig",
            sweep=Span(0.5, 256.0),
            build=lambda situation, target: RayServe(RayServeSettings(target), situation.bounds),
        ),
        Peer(
            "clairvoyant",
            source="none: clairvoyant.py says how it plans",
            target="utilisation that the plan aims at",
            default=1.0,
            default_source="a replica that is full",
            sweep=Span(0.3, 1.5),
            build=_clairvoyant,
        ),
    )
}
