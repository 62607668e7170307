"""Reading one engine: a whole text of a real vLLM, parsed and reduced to one sample."""

from bench.figures import Figure, timed
from bench.options import Skipped
from bench.run import Run
from llmendpoint.engines import engine_for
from llmendpoint.metrics.extract import sample_of
from llmendpoint.metrics.parser import parse
from localcluster.paths import ROOT

RECORDED = ROOT.parent / "shared" / "engine-metrics" / "vllm-0.32.0-loaded.txt"


async def measure(_: Run) -> list[Figure]:
    """On a text that vLLM 0.32.0 answered under load: 591 lines, 48 KB."""
    if not RECORDED.exists():
        raise Skipped(f"the recorded text of a real vLLM is not here: {RECORDED}")
    text = RECORDED.read_text()
    names = engine_for("vLLM").metrics

    def read() -> object:
        return sample_of(
            parse(text, names.wanted), names, taken_at=0.0, own_metrics=names.prefix in text, objective=2.0
        )

    return [timed(f"one engine's text, {len(text) / 1024:.0f} KB", read)]
