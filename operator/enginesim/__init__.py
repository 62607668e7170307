"""An inference server without a GPU: what a real vLLM or TGI shows to its surroundings, from a small model of it."""
