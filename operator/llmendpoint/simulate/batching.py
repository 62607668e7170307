"""Continuous batching of one replica, compiled: the scheduler of vLLM's V1 engine, and time as a profile gives it.

A step takes running sequences in the order of their admission, one token for each that decodes and a chunk of the
prompt for each that does not yet, within a budget of tokens. Waiting requests are admitted first come first served
while sequences, budget and KV blocks for their whole prompt last. When a decoding sequence needs a block and none is
free, the sequence admitted last is preempted: it gives its blocks back and is read anew later, before those that wait.

Steps in which nothing joins, leaves or is preempted only differ in the growing KV cache. They are taken in one jump,
whose length in time is an arithmetic series: the result is that of taking them one by one.
"""

import math
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np

from llmendpoint.simulate.arrays import Array, State

HELD, IN_ENGINE, FINISHED, REFUSED, LOST = 1, 2, 3, 4, 5
NOBODY = -1

# vLLM's buckets of time_to_first_token_seconds.
TTFT_BOUNDS = np.array(
    [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0,
     160.0, 640.0, 2560.0]
)  # fmt: skip

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """The function as machine code, kept on disk between runs."""
    return cast("F", numba.njit(cache=True, error_model="numpy")(function))


@compiled
def run(state: State, by_load: bool, until: float) -> None:
    """Take all arrivals and steps up to a time, arrivals of that very moment included."""
    model, proxy, requests = state.model[0], state.proxy[0], state.requests
    while proxy.next < len(requests) and requests[proxy.next].arrived <= until:
        i = proxy.next
        request = requests[i]
        proxy.next += 1
        proxy.arrived += 1
        proxy.prompt_tokens += request.prompt
        if request.prompt > model.blocks * model.block_tokens:
            request.state = REFUSED
            continue
        proxy.in_flight += 1
        proxy.arrival_times += request.arrived
        r = _route(state, by_load, request.arrived)
        if r == NOBODY:
            request.state = HELD
            _push_back(proxy, requests, i)
        else:
            _enqueue(state, r, i, request.arrived)
    for r in range(len(state.engines)):
        _advance(state, r, until)


@compiled
def release(state: State, by_load: bool, now: float) -> None:
    """Route what was held."""
    proxy = state.proxy[0]
    while proxy.waiting > 0:
        r = _route(state, by_load, now)
        if r == NOBODY:
            return
        _enqueue(state, r, _pop_front(proxy, state.requests), now)


@compiled
def lose(state: State, r: int, now: float) -> None:
    """All requests of an engine are gone, and so is its KV cache."""
    _advance(state, r, now)
    engine, proxy = state.engines[r], state.proxy[0]
    while engine.waiting > 0 or engine.running > 0:
        if engine.waiting > 0:
            i = _pop_front(engine, state.requests)
        else:
            engine.running -= 1
            i = state.running[r, engine.running]
        request = state.requests[i]
        request.state, request.finished = LOST, now
        _settle(proxy, request)
    engine.accepting, engine.stepping, engine.quiet_until, engine.idle_since = 0, 0, math.inf, now
    engine.blocks, engine.cached, engine.waiting_prompt = 0, 0, 0


@compiled
def _route(state: State, by_load: bool, now: float) -> int:
    """The replica for a request that arrives now, advanced to now; NOBODY where none accepts.

    By load: the one with the fewest requests, of equals the next one after the last that was given a request.
    """
    proxy, slots = state.proxy[0], len(state.engines)
    best, least = NOBODY, 2**62
    for step in range(1, slots + 1):
        r = (proxy.last_routed + step) % slots
        engine = state.engines[r]
        if not engine.accepting:
            continue
        if not by_load:
            best = r
            break
        if engine.quiet_until <= now:
            _advance(state, r, now)
        if engine.running + engine.waiting < least:
            best, least = r, engine.running + engine.waiting
    if best != NOBODY:
        proxy.last_routed = best
        _advance(state, best, now)
    return best


@compiled
def _enqueue(state: State, r: int, i: int, now: float) -> None:
    """Give request ``i`` to replica ``r``, which was advanced to ``now``."""
    engine, request = state.engines[r], state.requests[i]
    request.state, request.entered, request.target = IN_ENGINE, now, request.prompt
    _push_back(engine, state.requests, i)
    engine.waiting_prompt += request.target
    if not engine.stepping:
        _begin_step(engine, now, state.model[0], state.requests, state.running[r], state.tokens[r])
    elif engine.jump > 0:
        engine.jump = 1
        engine.quiet_until = engine.ends


@compiled
def _advance(state: State, r: int, until: float) -> None:
    """Take all steps of replica ``r`` that end by ``until``."""
    engine, model, requests, running = state.engines[r], state.model[0], state.requests, state.running[r]
    while engine.stepping and engine.ends <= until:
        if engine.jump > 0:
            _jump(engine, until, model, requests, running)
        else:
            _finish_step(engine, requests, running, state.tokens[r], state.ttft[r])
        _leave(engine, state.proxy[0], requests, running, model.late_after)
        _show(engine)
        _begin_step(engine, engine.ends, model, requests, running, state.tokens[r])


@compiled
def _blocks_of(cached: int, model: Array) -> int:
    return int((cached + model.block_tokens - 1) // model.block_tokens)


@compiled
def _begin_step(engine: Array, now: float, model: Array, requests: Array, running: Array, tokens: Array) -> None:
    """Decide what the next step does, and how long it takes."""
    budget, sequences, prompt_tokens, attended = model.most_tokens, 0, 0, 0
    preempted = False
    position = 0
    while position < engine.running:
        request = requests[running[position]]
        missing = request.target - request.cached
        take = min(missing if missing > 0 else 1, budget)
        if missing <= 0 and take > 0:
            preempted = _make_room(engine, position, model, requests, running) or preempted
            if position >= engine.running:
                break  # it had to go itself
        tokens[position] = take
        if take > 0:
            budget -= take
            sequences += 1
            attended += request.cached
            prompt_tokens += take if missing > 0 else 0
        position += 1
    while not preempted and budget > 0 and engine.waiting > 0 and engine.running < model.most_running:
        need = _blocks_of(requests[engine.head].target, model)
        if engine.blocks + need > model.blocks:
            break
        i = _pop_front(engine, requests)
        request = requests[i]
        engine.waiting_prompt -= request.target
        request.started = min(request.started, now)
        request.blocks = need
        engine.blocks += need
        take = min(request.target, budget)
        running[engine.running], tokens[engine.running] = i, take
        engine.running += 1
        budget -= take
        sequences += 1
        prompt_tokens += take
    engine.stepping = sequences > 0
    engine.left_waiting, engine.left_waiting_prompt = engine.waiting, engine.waiting_prompt
    if sequences == 0:
        engine.quiet_until, engine.idle_since = math.inf, now
        return
    seconds = model.alpha + model.beta * sequences + model.gamma * prompt_tokens + model.kappa * attended
    engine.started, engine.ends, engine.quiet_until = now, now + seconds, now + seconds
    engine.jump = 0
    if prompt_tokens == 0 and sequences == engine.running:
        engine.jump = 1
        if not preempted:
            _plan_jump(engine, model, requests, running)


@compiled
def _make_room(engine: Array, position: int, model: Array, requests: Array, running: Array) -> bool:
    """A block for one more token of the sequence at ``position``, by preemption of the last ones where needed."""
    request = requests[running[position]]
    if _blocks_of(request.cached + 1, model) <= request.blocks:
        return False
    preempted = False
    while engine.blocks >= model.blocks and position < engine.running:
        engine.running -= 1
        i = running[engine.running]
        victim = requests[i]
        engine.blocks -= victim.blocks
        engine.cached -= victim.cached
        victim.blocks, victim.cached = 0, 0
        victim.target = victim.prompt + victim.generated
        engine.waiting_prompt += victim.target
        _push_front(engine, requests, i)
        preempted = True
    if position < engine.running:
        request.blocks += 1
        engine.blocks += 1
    return preempted


@compiled
def _plan_jump(engine: Array, model: Array, requests: Array, running: Array) -> None:
    """How many steps will be like the one that begins: until the first sequence is done or the KV cache is full."""
    steps = 2**62
    for position in range(engine.running):
        request = requests[running[position]]
        steps = min(steps, request.output - request.generated)
    whole = steps
    if engine.blocks + engine.running * _blocks_of(steps - 1, model) > model.blocks:
        fits, too_many = 1, steps + 1
        while too_many - fits > 1:
            middle = (fits + too_many) // 2
            need = 0
            for position in range(engine.running):
                need += _blocks_of(requests[running[position]].cached + middle, model)
            if need <= model.blocks:
                fits = middle
            else:
                too_many = middle
        steps = fits
    engine.jump = steps
    if steps == whole:
        engine.quiet_until = engine.started + _seconds_of(steps, engine, model)


@compiled
def _seconds_of(steps: int, engine: Array, model: Array) -> float:
    """Time of so many decoding steps: each attends to one more token per sequence than the one before."""
    attended = steps * engine.cached + engine.running * (steps * (steps - 1) // 2)
    return float(steps * (model.alpha + model.beta * engine.running) + model.kappa * attended)


@compiled
def _steps_by(until: float, engine: Array, model: Array) -> int:
    """How many of the planned steps end by then; at least the one that is on, which does."""
    most = engine.jump
    if engine.started + _seconds_of(most, engine, model) <= until:
        return int(most)
    square = 0.5 * model.kappa * engine.running
    linear = model.alpha + model.beta * engine.running + model.kappa * engine.cached - square
    span = until - engine.started
    # The root of square n^2 + linear n = span, in the form that is exact for a small square.
    steps = int(2.0 * span / (linear + math.sqrt(linear * linear + 4.0 * square * span)))
    steps = min(max(steps, 1), most)
    while steps > 1 and engine.started + _seconds_of(steps, engine, model) > until:
        steps -= 1
    while steps < most and engine.started + _seconds_of(steps + 1, engine, model) <= until:
        steps += 1
    return int(steps)


@compiled
def _jump(engine: Array, until: float, model: Array, requests: Array, running: Array) -> None:
    """Take the decoding steps that end by ``until``."""
    steps = _steps_by(until, engine, model)
    engine.ends = engine.started + _seconds_of(steps, engine, model)
    engine.blocks = 0
    for position in range(engine.running):
        request = requests[running[position]]
        request.cached += steps
        request.generated += steps
        request.blocks = _blocks_of(request.cached, model)
        engine.blocks += request.blocks
    engine.cached += steps * engine.running
    engine.generation_tokens_total += steps * engine.running
    engine.steps_total += steps


@compiled
def _finish_step(engine: Array, requests: Array, running: Array, tokens: Array, ttft: Array) -> None:
    """Every sequence of the step has its tokens read, and one generated where its prompt is all read."""
    engine.steps_total += 1
    for position in range(engine.running):
        take = tokens[position]
        if take == 0:
            continue
        request = requests[running[position]]
        request.cached += take
        engine.cached += take
        if request.cached < request.target:
            continue
        request.generated += 1
        engine.generation_tokens_total += 1
        if request.generated == 1:
            request.first_token = engine.ends
            engine.prompt_tokens_total += request.prompt
            ttft[np.searchsorted(TTFT_BOUNDS, engine.ends - request.entered) :] += 1


@compiled
def _leave(engine: Array, proxy: Array, requests: Array, running: Array, late_after: float) -> None:
    """Finished requests leave the batch."""
    stay = 0
    for position in range(engine.running):
        i = running[position]
        request = requests[i]
        if request.generated < request.output:
            running[stay] = i
            stay += 1
            continue
        request.state, request.finished = FINISHED, engine.ends
        engine.blocks -= request.blocks
        engine.cached -= request.cached
        engine.requests_total += 1
        engine.finished_prompt_tokens_total += request.prompt
        engine.finished_generation_tokens_total += request.output
        engine.late_total += request.started - request.entered > late_after
        proxy.finished += 1
        proxy.generation_tokens += request.output
        _settle(proxy, request)
    engine.running = stay


@compiled
def _show(engine: Array) -> None:
    """Set the gauges, as vLLM does at the end of a step: requests that came during it are in none of them yet."""
    engine.shown_running, engine.shown_cached, engine.shown_blocks = engine.running, engine.cached, engine.blocks
    engine.shown_waiting, engine.shown_waiting_prompt = engine.left_waiting, engine.left_waiting_prompt


@compiled
def _settle(proxy: Array, request: Array) -> None:
    """A request is in flight no more."""
    proxy.in_flight -= 1
    proxy.arrival_times -= request.arrived
    proxy.seconds += request.finished - request.arrived


@compiled
def _push_back(queue: Array, requests: Array, i: int) -> None:
    """Put a request at the end of a queue."""
    requests[i].after = NOBODY
    if queue.waiting == 0:
        queue.head = i
    else:
        requests[queue.tail].after = i
    queue.tail = i
    queue.waiting += 1


@compiled
def _push_front(queue: Array, requests: Array, i: int) -> None:
    requests[i].after = queue.head if queue.waiting else NOBODY
    if queue.waiting == 0:
        queue.tail = i
    queue.head = i
    queue.waiting += 1


@compiled
def _pop_front(queue: Array, requests: Array) -> int:
    """Take the first request of a queue."""
    i = int(queue.head)
    queue.head = requests[i].after
    queue.waiting -= 1
    return i
