"""What becomes of a line: it is asked until an answer stands, or it has been tried in vain too often."""

from http import HTTPStatus

from batchworker.lines import Line
from batchworker.options import Options
from batchworker.places import BadInput
from batchworker.records import Record, answered, failed
from batchworker.request import InvalidLine, request_of
from engineclient import EngineClient, EngineUnavailable

LOCKED = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})


async def record_of(line: Line, engine: EngineClient, options: Options) -> Record:
    """Ask an engine one line.

    Raises:
        BadInput: the engine lets nobody in with this key, so that every line would fail.
    """
    try:
        request = request_of(line, options.model)
        answer = await engine.post(request.path, request.body, tries=options.max_attempts)
    except InvalidLine as error:
        return failed(line, error.custom_id, "invalid_line", str(error))
    except EngineUnavailable as error:
        message = f"{options.max_attempts} attempts were in vain; the last one: {error.reason}"
        return failed(line, request.custom_id, "attempts_used_up", message)
    if answer.status in LOCKED:
        raise BadInput(
            f"{options.engine_url} answers {answer.status}: give the engine's key in OPENAI_API_KEY, by a Secret"
        )
    return answered(line, request.custom_id, answer)
