"""Write LoRA adapters with random weights for the tiny model into a folder, as PEFT does: each named after its rank."""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import AutoConfig

RANKS = (4, 8, 64)
ALPHA = 16
MODULES = ("q_proj", "v_proj")


def main(model: str, folder: str) -> None:
    """Write them; the same at each run."""
    config = AutoConfig.from_pretrained(model)
    size = config.hidden_size
    for rank in RANKS:
        torch.manual_seed(rank)
        weights = {}
        for layer in range(config.num_hidden_layers):
            for module in MODULES:
                part = f"base_model.model.model.layers.{layer}.self_attn.{module}"
                weights[f"{part}.lora_A.weight"] = torch.randn(rank, size, dtype=torch.bfloat16)
                weights[f"{part}.lora_B.weight"] = torch.randn(size, rank, dtype=torch.bfloat16)
        place = Path(folder, f"rank-{rank}")
        place.mkdir(parents=True)
        save_file(weights, place / "adapter_model.safetensors")
        about = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": model, "bias": "none"}
        sizes = {"r": rank, "lora_alpha": ALPHA, "target_modules": MODULES}
        (place / "adapter_config.json").write_text(json.dumps(about | sizes))


main(*sys.argv[1:])
