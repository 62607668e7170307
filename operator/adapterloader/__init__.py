"""Keeps an engine's LoRA adapters as a list says: fetches their files, and has the engine load and unload them."""
