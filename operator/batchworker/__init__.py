"""Asks an engine every line of one shard of an OpenAI batch file, and forgets nothing that was answered."""
