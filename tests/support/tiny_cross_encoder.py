"""A cross-encoder of twenty-odd nodes: real ONNX with BERT's inputs; its logit counts the words that texts share."""

import onnx
from onnx import TensorProto, helper

from support.hub_cache import CONTEXT

_LAST_SPECIAL_ID = 103
"""BERT's [MASK]; padding and the marks of begin and end lie below."""
LOGIT_OF_NONE = -4.0
LOGIT_OF_EACH = 1.5


def tiny_cross_encoder(inputs: tuple[str, ...] = ("input_ids", "attention_mask", "token_type_ids")) -> bytes:
    """The model's file.

    Args:
        inputs: what the graph wants; more than BERT's three is what no tokenizer gives.
    """
    constants = [
        helper.make_tensor("last_special", TensorProto.INT64, [], [_LAST_SPECIAL_ID]),
        helper.make_tensor("one", TensorProto.INT64, [], [1]),
        helper.make_tensor("first", TensorProto.INT64, [1], [1]),
        helper.make_tensor("second", TensorProto.INT64, [1], [2]),
        helper.make_tensor("each", TensorProto.FLOAT, [], [LOGIT_OF_EACH]),
        helper.make_tensor("positions", TensorProto.FLOAT, [CONTEXT], [0.0] * CONTEXT),
        helper.make_tensor("none", TensorProto.FLOAT, [], [LOGIT_OF_NONE]),
    ]
    nodes = [
        helper.make_node("Greater", ["input_ids", "last_special"], ["is_word"]),
        helper.make_node("Equal", ["attention_mask", "one"], ["is_read"]),
        helper.make_node("And", ["is_word", "is_read"], ["counts"]),
        helper.make_node("Equal", ["token_type_ids", "one"], ["is_second"]),
        helper.make_node("Not", ["is_second"], ["is_first"]),
        helper.make_node("And", ["counts", "is_first"], ["asked"]),
        helper.make_node("And", ["counts", "is_second"], ["given"]),
        # Each token of the question beside each of the passage.
        helper.make_node("Unsqueeze", ["input_ids", "second"], ["down"]),
        helper.make_node("Unsqueeze", ["input_ids", "first"], ["across"]),
        helper.make_node("Equal", ["down", "across"], ["same"]),
        helper.make_node("Unsqueeze", ["asked", "second"], ["asked_down"]),
        helper.make_node("Unsqueeze", ["given", "first"], ["given_across"]),
        helper.make_node("And", ["asked_down", "given_across"], ["of_both"]),
        helper.make_node("And", ["same", "of_both"], ["shared"]),
        helper.make_node("Cast", ["shared"], ["shared_float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMax", ["shared_float", "second"], ["found"], keepdims=0),
        helper.make_node("ReduceSum", ["found", "first"], ["count"], keepdims=1),
        helper.make_node("Mul", ["count", "each"], ["weighted"]),
        helper.make_node("Add", ["weighted", "none"], ["unplaced"]),
        # As in BERT, a text that is longer than the table of positions is an error.
        helper.make_node("Shape", ["input_ids"], ["length"], start=1),
        helper.make_node("Sub", ["length", "first"], ["last"]),
        helper.make_node("Gather", ["positions", "last"], ["position"]),
        helper.make_node("Add", ["unplaced", "position"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny_cross_encoder",
        [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "sequence"]) for name in inputs],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 1])],
        constants,
    )
    # The version of the format is the oldest that has these nodes, so that any runtime reads it.
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())


def logit(shared: int) -> float:
    """What it says of a question and a passage that share so many words."""
    return LOGIT_OF_NONE + LOGIT_OF_EACH * shared
