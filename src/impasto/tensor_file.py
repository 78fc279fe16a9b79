"""safetensors files of impasto: tensors, and a JSON string that says what they are; opened with mistrust."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open

from impasto.errors import ModelError
from impasto.system.files import written_whole
from impasto.system.lazy import lazy

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = lazy("torch")

_KEY = "impasto"
_MAX_JSON, _MAX_BYTES, _MAX_HEADER = 1_000_000, 500_000_000, 2_000_000
_AGAIN = "train or download the model again"


def write_tensors(path: Path, tensors: Mapping[str, Tensor], description: Mapping[str, Any]) -> None:
    """Write contiguous tensors on the CPU with their description and a digest of them, whole or not at all.

    Raises:
        ModelError: the description is too long, or there is no place to write to.
    """
    from safetensors.torch import save_file

    text = json.dumps({**description, "digest": _digest_of(tensors, tensors.__getitem__)})
    if len(text) > _MAX_JSON:
        raise ModelError(path, f"its description is too long ({len(text)} characters)")
    try:
        with written_whole(path) as temporary:
            save_file(dict(tensors), temporary, metadata={_KEY: text})
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ModelError(path, f"cannot be written ({reason})", "choose another place") from error


def read_description(path: Path) -> Any:
    """Return what a file says of its tensors, which are not touched: any JSON value, so look at it with mistrust.

    Raises:
        ModelError: no such file, too large, damaged, or not one of impasto's.
    """
    if not path.is_file():
        raise ModelError(path, "no such model", "`impasto styles` lists those that are here")
    if path.stat().st_size > _MAX_BYTES:
        raise ModelError(path, f"too large for a model ({path.stat().st_size >> 20} MB)")
    with opened(path, framework="numpy") as file:  # that of torch would import it
        text = (file.metadata() or {}).get(_KEY, "")
    if not text or len(text) > _MAX_JSON:
        raise ModelError(path, "a safetensors file, but not a model of impasto")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelError(path, "the description inside is damaged", _AGAIN) from error


def opened(path: Path, framework: str = "pt") -> Any:
    """Return the file, opened by safetensors.

    Raises:
        ModelError: it may not be read, or is no whole safetensors file.
    """
    try:
        with path.open("rb") as stream:
            if int.from_bytes(stream.read(8), "little") > _MAX_HEADER:
                raise SafetensorError("its header is too long for a model")
        return safe_open(path, framework=framework, device="cpu")
    except PermissionError as error:
        raise ModelError(path, "may not be read", "change its permissions") from error
    except (SafetensorError, OSError) as error:
        raise ModelError(path, "not a whole safetensors file", _AGAIN) from error


def read_like(file: Any, key: str, like: Tensor, path: Path) -> Tensor:
    """Return a tensor in float32.

    Raises:
        ModelError: it is missing, has another shape than `like`, or values that are not numbers.
    """
    try:
        part = file.get_slice(key)
        if tuple(part.get_shape()) != tuple(like.shape) or part.get_dtype() not in ("F16", "BF16", "F32"):
            raise ModelError(path, f"{key} does not fit the network described", "the file was altered")
        return finite(file.get_tensor(key).float(), key, path)
    except SafetensorError as error:
        raise ModelError(path, f"{key} is missing", "the file was altered") from error


def finite(value: Tensor, key: str, path: Path) -> Tensor:
    """Return `value`; raises ModelError where it is not all numbers."""
    if not torch.isfinite(value).all():
        raise ModelError(path, f"{key} holds values that are not numbers", _AGAIN)
    return value


def compact(value: Tensor) -> Tensor:
    """Return a tensor in half precision, unless that cannot hold it, contiguous and on the CPU."""
    half = value.half()
    return (half if half.isfinite().all() else value.float()).contiguous().cpu()


def check_digest(file: Any, digest: Any, path: Path) -> None:
    """Refuse tensors that are not those that were written. Files from before the digest have None.

    Raises:
        ModelError: the tensors are damaged.
    """
    try:
        if digest is None or digest == _digest_of(file.keys(), file.get_tensor):
            return
    except (SafetensorError, RuntimeError, TypeError):  # of a type that no model has
        pass
    raise ModelError(path, "its tensors are damaged", _AGAIN)


def _digest_of(keys: Iterable[str], tensor: Callable[[str], Tensor]) -> str:
    """Return the SHA-256 of tensors: of names, types, shapes and bytes, in the order of the names."""
    digest = hashlib.sha256()
    for key in sorted(keys):
        value = tensor(key)
        digest.update(json.dumps([key, str(value.dtype), list(value.shape)]).encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
