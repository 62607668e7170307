"""Takes OpenAI requests as jobs, keeps them in Redis, and has workers ask an engine: an endpoint's asynchronous API."""
