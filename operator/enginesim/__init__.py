"""An inference server without a GPU: what a real vLLM, TGI or SGLang shows, from a small model of it."""
