"""The calls by which vLLM and SGLang say what they have loaded, and load and unload an adapter.

https://docs.vllm.ai/en/v0.32.0/features/lora/ https://docs.sglang.ai/advanced_features/lora.html
"""

import contextlib
import json
from collections.abc import Mapping
from typing import Any

import aiohttp

from adapterloader.options import Options

# What answers at once, and what may read files or wait until requests are finished.
LOOK_SECONDS, ACT_SECONDS = 10.0, 900.0


class EngineRefused(Exception):
    """The engine's answer, where it did not do what it was asked."""


class EngineDown(Exception):
    """Nothing listens: the engine has not loaded its model yet, or has ended."""


class Engine:
    """One engine. Every method raises EngineDown, and aiohttp's errors where it answers too late or breaks off."""

    def __init__(self, session: aiohttp.ClientSession, options: Options) -> None:
        self._session = session
        self._url = options.engine_url
        self._is_vllm = options.engine == "vllm"
        self._headers = {"Authorization": f"Bearer {options.api_key}"} if options.api_key else {}

    async def loaded(self) -> Mapping[str, str]:
        """Its adapters and where each was loaded from.

        Raises:
            EngineRefused: it does not say.
        """
        said = await self._ask("GET", "/v1/models", None, LOOK_SECONDS)
        try:
            return {card["id"]: str(card["root"]) for card in json.loads(said)["data"] if card.get("parent")}
        except (ValueError, LookupError, TypeError) as error:
            raise EngineRefused(f"/v1/models answers {said[:200]!r}") from error

    async def load(self, name: str, path: str, *, replaces: str | None) -> None:
        """Load an adapter.

        Args:
            replaces: where one of that name is loaded from, which stays where the new one is refused.

        Raises:
            EngineRefused: it can not.
        """
        if replaces and self._is_vllm:
            # A trial, while the old one serves, and no way to stay: what vLLM 0.32.0 has loaded in place it reads from
            # the volume again at every step, https://github.com/vllm-project/vllm/pull/36373
            await self._load(name, path, load_inplace=True)
        if replaces:
            await self.unload(name)
        try:
            await self._load(name, path)
        except EngineRefused:
            if replaces:
                with contextlib.suppress(EngineRefused):  # why the new one was refused is what matters
                    await self._load(name, replaces)
            raise

    async def _load(self, name: str, path: str, **more: bool) -> None:
        body = {"lora_name": name, "lora_path": path, **more}
        await self._ask("POST", self._path("load_lora_adapter"), body, ACT_SECONDS)

    async def unload(self, name: str) -> None:
        """Unload an adapter. Requests that it has are finished: vLLM answers before that, SGLang after it.

        Raises:
            EngineRefused: it can not.
        """
        await self._ask("POST", self._path("unload_lora_adapter"), {"lora_name": name}, ACT_SECONDS)

    def _path(self, call: str) -> str:
        return f"/v1/{call}" if self._is_vllm else f"/{call}"

    async def _ask(self, method: str, path: str, body: Mapping[str, Any] | None, seconds: float) -> str:
        timeout = aiohttp.ClientTimeout(total=seconds)
        try:
            async with self._session.request(
                method, f"{self._url}{path}", json=body, headers=self._headers, timeout=timeout
            ) as answer:
                said = await answer.text(errors="replace")
        except aiohttp.ClientConnectorError as error:
            raise EngineDown from error
        if answer.status != 200:
            raise EngineRefused(f"the engine answers {answer.status}: {_message(said)}")
        return said


def _message(said: str) -> str:
    """The sentence in an error's JSON, or all of what is none."""
    try:
        body = json.loads(said)
        found = body.get("error_message") or (body.get("error") or {}).get("message")
    except (ValueError, AttributeError):
        found = None
    return str(found or said).strip()[:400]
