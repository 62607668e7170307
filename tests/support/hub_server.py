"""What the Hugging Face hub answers about models in a folder, as far as its client asks. It runs alone in a pod too.

FOLDER/OWNER/NAME/... are the files of a model's only commit. Each request is a line in FOLDER/requests.log.
"""

import argparse
import asyncio
import hashlib
from pathlib import Path

from aiohttp import web

COMMIT = "0123456789abcdef0123456789abcdef01234567"
BRANCH = "main"
PIECE = 1 << 16


class Hub:
    """One hub.

    Args:
        token: who does not send it finds no model; None lets everybody in.
        gated: whether terms were not accepted, whatever token is sent.
        rate: bytes per second of one answer; None for all at once.
    """

    def __init__(
        self, folder: Path, *, token: str | None = None, gated: bool = False, rate: float | None = None
    ) -> None:
        self._folder, self._token, self._gated, self._rate = folder, token, gated, rate

    def app(self) -> web.Application:
        """All routes that the client uses to read a model."""
        app = web.Application(middlewares=[self._noted])
        app.add_routes(
            [
                web.get("/healthz", self._healthz),
                web.get("/api/models/{owner}/{name}", self._info),
                web.get("/api/models/{owner}/{name}/revision/{revision}", self._info),
                web.get("/{owner}/{name}/resolve/{revision}/{path:.+}", self._file),
            ]
        )
        return app

    @web.middleware
    async def _noted(self, request: web.Request, handler):  # type: ignore[no-untyped-def]
        with (self._folder / "requests.log").open("a") as log:
            log.write(f"{request.method} {request.path} {request.headers.get('Authorization', '-')}\n")
        if request.path != "/healthz" and (refusal := self._refusal(request)):
            return refusal
        return await handler(request)

    def _refusal(self, request: web.Request) -> web.Response | None:
        def refuse(status: int, code: str) -> web.Response:
            return web.Response(status=status, headers={"X-Error-Code": code, "X-Error-Message": code})

        if self._gated:
            return refuse(403, "GatedRepo")
        if self._token and request.headers.get("Authorization") != f"Bearer {self._token}":
            return refuse(401, "RepoNotFound")
        if not self._model(request).is_dir():
            return refuse(404, "RepoNotFound")
        if request.match_info.get("revision", BRANCH) not in {BRANCH, COMMIT}:
            return refuse(404, "RevisionNotFound")
        return None

    async def _healthz(self, _: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def _info(self, request: web.Request) -> web.Response:
        model = self._model(request)
        siblings = [
            {"rfilename": path.relative_to(model).as_posix(), "size": path.stat().st_size, "blobId": _etag(path)}
            for path in sorted(model.rglob("*"))
            if path.is_file()
        ]
        name = f"{request.match_info['owner']}/{request.match_info['name']}"
        return web.json_response({"id": name, "modelId": name, "sha": COMMIT, "siblings": siblings, "tags": []})

    async def _file(self, request: web.Request) -> web.StreamResponse:
        path = self._model(request) / request.match_info["path"]
        if not path.is_file():
            return web.Response(status=404, headers={"X-Error-Code": "EntryNotFound"})
        content = path.read_bytes()
        headers = {"ETag": f'"{_etag(path)}"', "X-Repo-Commit": COMMIT, "Content-Length": str(len(content))}
        answer = web.StreamResponse(headers=headers)
        await answer.prepare(request)
        if request.method == "GET":
            for start in range(0, len(content), PIECE):
                await answer.write(content[start : start + PIECE])
                if self._rate:
                    await asyncio.sleep(PIECE / self._rate)
        return answer

    def _model(self, request: web.Request) -> Path:
        return self._folder / request.match_info["owner"] / request.match_info["name"]


def _etag(path: Path) -> str:
    return hashlib.sha1(path.read_bytes(), usedforsecurity=False).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--token")
    parser.add_argument("--gated", action="store_true")
    parser.add_argument("--rate", type=float)
    told = parser.parse_args()
    hub = Hub(told.folder, token=told.token, gated=told.gated, rate=told.rate)
    web.run_app(hub.app(), port=told.port, print=None)


if __name__ == "__main__":
    main()
