"""LoRA adapters of a simulated engine: loaded from a folder while it serves, with the answers of vLLM and SGLang.

vLLM 0.32.0's and SGLang 0.5.23's, as their sources have them.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from enginesim.options import Options


@dataclass(frozen=True)
class Refused(Exception):
    """Why an engine does not load an adapter, or does not let it go."""

    status: int
    kind: str
    message: str


class Adapters:
    """The adapters of one engine by name."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self.loaded: dict[str, str] = {}
        """Name -> path."""

    def routes(self) -> list[web.RouteDef]:
        """Where adapters are loaded and unloaded; none where the engine was not told that this may be done."""
        if not self._options.updates_adapters:
            return []
        if self._options.flavour == "sglang":
            return [
                web.post("/load_lora_adapter", self._sglang(self._load)),
                web.post("/unload_lora_adapter", self._sglang(self._unload)),
            ]
        return [
            web.post("/v1/load_lora_adapter", self._vllm(self._load, "added")),
            web.post("/v1/unload_lora_adapter", self._vllm(self._unload, "removed")),
        ]

    def cards(self) -> list[dict[str, Any]]:
        """What /v1/models says of them."""
        return [
            {"id": name, "object": "model", "owned_by": "enginesim", "root": path, "parent": self._base}
            | {"max_model_len": None}
            for name, path in self.loaded.items()
        ]

    def of(self, model: str) -> str | None:
        """The adapter that a request's model name means; None for the model itself.

        vLLM takes the adapter's own name. SGLang takes MODEL:ADAPTER, and any other name for the model.
        """
        if self._options.flavour == "sglang":
            return model.partition(":")[2] or None if model != self._base else None
        return model if model in self.loaded else None

    @property
    def _base(self) -> str:
        return self._options.served_names[0]

    def _vllm(self, act: Any, done: str) -> Any:
        async def handle(request: web.Request) -> web.Response:
            if (refused := self._unauthorized(request)) is not None:
                return refused
            body = await request.json()
            try:
                act(body)
            except Refused as error:
                said = {"message": error.message, "type": error.kind, "param": None, "code": error.status}
                return web.json_response({"error": said}, status=error.status)
            return web.Response(text=f"Success: LoRA adapter '{body['lora_name']}' {done} successfully.")

        return handle

    def _sglang(self, act: Any) -> Any:
        async def handle(request: web.Request) -> web.Response:
            if (refused := self._unauthorized(request)) is not None:
                return refused
            message, status = None, 200
            try:
                act(await request.json())
            except Refused as error:
                message, status = error.message, 400
            return web.json_response(
                {"success": message is None, "error_message": message, "loaded_adapters": self.loaded}, status=status
            )

        return handle

    def _load(self, body: dict[str, Any]) -> None:
        name, path = body.get("lora_name"), body.get("lora_path")
        is_vllm = self._options.flavour == "vllm"
        if not name or not path:
            raise Refused(400, "InvalidUserInput", "Both 'lora_name' and 'lora_path' must be provided.")
        if is_vllm and name in self._options.served_names:
            raise Refused(400, "InvalidUserInput", f"The lora adapter '{name}' conflicts with a served base model.")
        if name in self.loaded and not (is_vllm and body.get("load_inplace")):
            raise Refused(
                400,
                "InvalidUserInput",
                f"The lora adapter '{name}' has already been loaded. If you want to load the adapter in place, set "
                "'load_inplace' to True."
                if is_vllm
                else f"Failed to load LoRA adapter {name} because it is already loaded",
            )
        self._check_files(name, Path(path))
        self.loaded[name] = path

    def _check_files(self, name: str, path: Path) -> None:
        is_vllm, most = self._options.flavour == "vllm", self._options.max_lora_rank
        try:
            rank = json.loads((path / "adapter_config.json").read_text())["r"]
        except FileNotFoundError:
            said = f"Loading lora {name} failed: No adapter found for {path}"
            if not is_vllm:
                said = f"[Errno 2] No such file or directory: '{path / 'adapter_config.json'}'"
            raise Refused(404, "NotFoundError", said) from None
        except (ValueError, LookupError, OSError) as error:
            raise Refused(500, "InternalServerError", f"Call to add_lora method failed: {error}") from error
        if rank > most:
            why = f"LoRA rank {rank} is greater than max_lora_rank {most}."
            said = (
                f"Call to add_lora method failed: Worker failed with error '{why}', please check the stack trace above "
                "for the root cause"
            )
            if not is_vllm:
                said = (
                    f"LoRA adapter {name} with rank {rank} is incompatible with the current LoRA memory pool "
                    "configuration. Please ensure that the LoRA adapter's rank is within the configured "
                    "`--max-lora-rank` and that the target modules are included in `--lora-target-modules`."
                )
            raise Refused(500, "InternalServerError", said)

    def _unload(self, body: dict[str, Any]) -> None:
        """Requests that it has are finished."""
        name = body.get("lora_name")
        if name not in self.loaded:
            said = f"The lora adapter '{name}' cannot be found."
            if self._options.flavour == "sglang":
                said = f"LoRA with name {name} does not exist. Loaded LoRAs: {list(self.loaded)}"
            raise Refused(404, "NotFoundError", said)
        del self.loaded[name]

    def _unauthorized(self, request: web.Request) -> web.Response | None:
        key = self._options.api_key
        if key and request.headers.get("Authorization") != f"Bearer {key}":
            return web.json_response({"error": "Unauthorized"}, status=401)
        return None
