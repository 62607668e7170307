"""The names of the files in an output folder."""

ANSWERS = "output.jsonl"
ERRORS = "errors.jsonl"
WORKING = "_batch"
"""What is needed until the batch is done."""
DONE = f"{WORKING}/done.json"
"""The batch is done: what each shard reported."""

SHARD_DONE = "done-"
"""How the names of the shards' marks begin."""


def chunks_folder(shard: int) -> str:
    """Where a shard's chunks are."""
    return f"{WORKING}/{shard:05d}"


def chunk(shard: int, number: int) -> str:
    """One of a shard's chunks, numbered from 0."""
    return f"{chunks_folder(shard)}/{number:08d}"


def shard_done(shard: int) -> str:
    """The mark of a shard that is done."""
    return f"{WORKING}/{SHARD_DONE}{shard:05d}.json"
