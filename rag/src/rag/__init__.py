"""Answers questions from documents: the reference business service of an LLMEndpoint."""
