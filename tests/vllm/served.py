"""The endpoint whose engine is a real vLLM with a tiny model."""

from localcluster import images, realengine
from localcluster.cluster import Cluster
from localcluster.realengine import RealEngine
from support.endpoints import apply

CLAIM = "tiny-model"
SLOTS = 8
START_SECONDS = 600.0


def serve(cluster: Cluster, engine: RealEngine, namespace: str, **model: object) -> None:
    """Create or change the endpoint; ``model`` has more fields of its model."""
    apply(
        cluster,
        namespace,
        model={"source": f"pvc://{CLAIM}", "servedName": "tiny", **model},
        engine={
            "image": images.image_name(realengine.IMAGE),
            # A stream takes a minute where others use the processors too.
            "drainSeconds": 180,
            # Of bfloat16 it makes instructions (AMX) that some virtual machines announce and do not have.
            "args": ["--dtype=float32", "--max-model-len=4096", f"--max-num-seqs={SLOTS}", "--enforce-eager"],
            "env": [
                {"name": "VLLM_CPU_KVCACHE_SPACE", "value": "1"},
                {"name": "HF_HUB_OFFLINE", "value": "1"},
            ],
            "podTemplate": _with_vllm(engine),
        },
        scaling={
            "maxReplicas": 2,
            "scaleOut": {"cooldownSeconds": 10},
            "scaleIn": {"cooldownSeconds": 10, "holdSeconds": 30},
        },
    )


def _with_vllm(engine: RealEngine) -> dict[str, object]:
    """What a vendor's image would bring along, from the machine that the node is."""
    volume = {"name": "vllm", "hostPath": {"path": str(engine.environment), "type": "Directory"}}
    mount = {"name": "vllm", "mountPath": realengine.PLACE, "readOnly": True}
    return {"spec": {"volumes": [volume], "containers": [{"name": "engine", "volumeMounts": [mount]}]}}
