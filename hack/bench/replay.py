"""A week of requests replayed by ``simulate``: reading the trace, serving every request, deciding every ten seconds."""

import statistics
import time

from bench.figures import Figure, spread
from bench.options import Skipped
from bench.run import Run
from llmendpoint.api.scaling import Scaling
from llmendpoint.simulate.operator_policy import OperatorPolicy
from llmendpoint.simulate.profiles import load_profile
from llmendpoint.simulate.replay import Scenario, replay
from llmendpoint.simulate.traces import Trace, load_trace
from localcluster.paths import ROOT

WEEK = ROOT.parent / "shared" / "traces" / "azure2024_code_week_synth_from_digitised_5pct.csv.gz"
REPLAY_BAR = 10.0
ROUNDS = 3
PROFILE = load_profile("a10g-llama-8b")
COLD_START_SECONDS = 105.0
SCALING = Scaling.model_validate({"maxReplicas": 64})


async def measure(_: Run) -> list[Figure]:
    """On one core, after the engine model was compiled."""
    if not WEEK.exists():
        raise Skipped(f"the trace of a week is not here: {WEEK}")
    _replay(load_trace("poisson:hours=0.1"))
    read, walls, cpus = [], [], []
    for _round in range(ROUNDS):
        wall, cpu = time.perf_counter(), time.process_time()
        trace = load_trace(str(WEEK))
        read.append(time.perf_counter() - wall)
        _replay(trace)
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    size = {"requests": len(trace.t), "cpuSeconds": cpus, "readSeconds": read}
    note = f"{statistics.median(cpus):.3g} s of processor time, {statistics.median(read):.2g} s of reading the file"
    return [Figure("a week of requests", statistics.median(walls), "s", REPLAY_BAR, size | spread(walls), note)]


def _replay(trace: Trace) -> None:
    policy = OperatorPolicy(SCALING, slots=PROFILE.max_num_seqs)
    replay(Scenario(trace, PROFILE, COLD_START_SECONDS), policy)
