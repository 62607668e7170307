"""The command line: llmendpoint, and as a plugin kubectl llmendpoint."""
