"""hf://: a repository of the Hugging Face hub, or of what speaks its API at HF_ENDPOINT."""

import asyncio
import errno
import fnmatch
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from huggingface_hub import HfApi, ModelInfo
from huggingface_hub.errors import (  # type: ignore[attr-defined]  # HTTPError: of the library that it uses
    DisabledRepoError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    HTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
    XetDownloadError,
)

from modelfetch.origin import File, Origin, Refused, Unavailable, is_plain

# What no engine loads: papers, pictures, and weights of other frameworks.
NEVER = (
    "*.msgpack", "*.h5", "*.ot", "*.onnx", "*.onnx_data", "*.tflite", "*.mlmodel", "*.mlpackage/*",
    "*.pdf", "*.png", "*.jpg", "*.gif", "*.mp4", ".gitattributes",
)  # fmt: skip
# Weights that are there a second time as safetensors, which every engine prefers.
TWICE = ("*.bin", "*.pt", "*.pth", "*.gguf", "original/*")
SAFE = "*.safetensors"
LISTING_SECONDS = 60.0
"""The client itself would wait for ever, and a fetch that waits looks alive."""
FULL = "(os error 28)"
"""How the hub's storage backend says that a volume is full."""

Result = TypeVar("Result")


class Hub(Origin):
    """One repository.

    Args:
        revision: branch, tag or commit; the default branch when None. It is read once, so that all files are of one
            commit.
    """

    def __init__(self, repository: str, revision: str | None) -> None:
        self._repository, self._revision = repository, revision
        self._api = HfApi(library_name="llmendpoint")
        self._commit: str | None = None

    async def files(self) -> Sequence[File]:
        """The files that engines load."""

        def look() -> ModelInfo:
            return self._api.model_info(
                self._repository, revision=self._revision, files_metadata=True, timeout=LISTING_SECONDS
            )

        info = await self._ask(look)
        self._commit = info.sha
        found = [
            File(entry.rfilename, entry.size or 0, (entry.lfs.sha256 if entry.lfs else entry.blob_id) or "")
            for entry in info.siblings or ()
            if is_plain(entry.rfilename)
        ]
        files = wanted(found)
        if not files:
            raise Refused(
                f"hf://{self._repository} has no file that an engine loads: correct the source or the revision"
            )
        return files

    async def fetch(self, file: File, folder: Path) -> None:
        """By the hub's own client, which goes on where a connection broke."""

        def get() -> str:
            return self._api.hf_hub_download(self._repository, file.name, revision=self._commit, local_dir=folder)

        # It would take a file of another size for the one that it has written.
        (folder / file.name).unlink(missing_ok=True)
        await self._ask(get)

    async def _ask(self, call: Callable[[], Result]) -> Result:
        about = f"hf://{self._repository}"
        try:
            return await asyncio.to_thread(call)
        except GatedRepoError as error:
            raise Refused(
                f"{about} is gated: accept its terms on the hub, and give a token of that account in "
                "model.tokenSecretRef"
            ) from error
        except RevisionNotFoundError as error:
            raise Refused(f"{about} has no revision {self._revision}: correct the revision") from error
        except (RepositoryNotFoundError, HFValidationError) as error:
            raise Refused(
                f"{about}: there is no such model, or it is private: correct the source, or give a token that may "
                "read it in model.tokenSecretRef"
            ) from error
        except DisabledRepoError as error:
            raise Refused(f"{about} was disabled on the hub: use another model") from error
        except HfHubHTTPError as error:
            status = error.response.status_code
            if status in {401, 403}:
                raise Refused(
                    f"{about}: the hub answers {status}: look at the token in model.tokenSecretRef"
                ) from error
            raise Unavailable(f"{about}: {self._api.endpoint} answers {status}") from error
        except (HTTPError, OSError, RuntimeError, XetDownloadError) as error:
            cause = _first_cause(error)
            if FULL in cause:
                raise OSError(errno.ENOSPC, cause) from error
            # What the volume says has a number. Errors of the client and of its storage backend are OSErrors too.
            if isinstance(error, OSError) and error.errno and not isinstance(error, ConnectionError | TimeoutError):
                raise
            raise Unavailable(
                f"{about}: {self._api.endpoint} is out of reach ({cause}): let the pod reach it, or name a mirror in "
                "HF_ENDPOINT"
            ) from error


def wanted(files: Sequence[File]) -> list[File]:
    """Those that an engine loads."""
    is_safe = any(fnmatch.fnmatchcase(file.name, SAFE) for file in files)
    left_out = (*NEVER, *(TWICE if is_safe else ()))
    return [file for file in files if not any(fnmatch.fnmatchcase(file.name, pattern) for pattern in left_out)]


def _first_cause(error: BaseException) -> str:
    """The client wraps what went wrong in advice for people at a terminal."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error).partition("\n")[0] or type(error).__name__
