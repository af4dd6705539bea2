"""Files that are whole or not there: tables, arrays, JSON."""

import contextlib
import hashlib
import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dgm.errors import BadInput, DgmError

if TYPE_CHECKING:  # where they are needed they are imported: JSON does without
    import numpy as np
    import pandas as pd

LARGEST = 2**26  # bytes of a JSON file that is read: 64 MiB


def write_csv(frame: "pd.DataFrame", path: Path) -> None:
    """A table without its index, whole or not at all; numbers in full, NaN blank."""
    atomic_write(path, frame.to_csv(index=False, lineterminator="\n"))


def read_csv(path: Path) -> "pd.DataFrame":
    """A table with numbers and words as they were written; BadInput when it is not there.

    Only a blank is a missing value: `None` and `NA` are words.
    """
    import pandas as pd

    # From 3.1 on pandas reads floats exactly by itself, and warns of the option that asks for it.
    version = tuple(int(part) for part in pd.__version__.split(".")[:2])
    exact: dict[str, Any] = {} if version >= (3, 1) else {"float_precision": "round_trip"}
    try:
        frame: pd.DataFrame = pd.read_csv(path, keep_default_na=False, na_values=[""], **exact)
        return frame
    except FileNotFoundError as error:
        raise BadInput(f"{path}: no such results; `dgm run` makes them") from error
    except OSError as error:
        raise DgmError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:  # pandas' parser errors and undecodable bytes
        raise DgmError(f"{path}: is not a table: {' '.join(str(error).split())}") from error


def write_npz(path: Path, arrays: "Mapping[str, np.ndarray]") -> None:
    """Named arrays, compressed; the same arrays give the same bytes, unlike numpy's own savez."""
    import zipfile

    import numpy as np

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, array in arrays.items():
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(entry, "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.asarray(array), allow_pickle=False)
    atomic_write(path, buffer.getvalue())


def read_npz(path: Path) -> "dict[str, np.ndarray]":
    """What `write_npz` wrote; nothing is ever unpickled."""
    import numpy as np

    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            return dict(archive)
    except FileNotFoundError as error:
        raise BadInput(f"{path}: no such results; `dgm run` makes them") from error
    except Exception as error:  # zipfile, zlib and numpy have a dozen kinds for a damaged file
        reason = " ".join(str(error).split())
        raise DgmError(f"{path}: is not readable as arrays: {reason}") from error


def sha256(path: Path) -> str:
    """Of a file's bytes, in hexadecimal."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise DgmError(f"{path}: cannot be read: {error.strerror}") from error


def read_json(path: Path, shape: Any = None) -> dict[str, Any]:
    """A file's mapping, or an empty one where there is no file.

    DgmError if it holds no mapping, or one that is not of `shape`, a TypedDict.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise DgmError(
                f"{path}: is larger than {LARGEST >> 20} MiB, and dgm wrote no such file"
            )
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise DgmError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise DgmError(f"{path}: is damaged; it should hold a JSON object")
    if shape is not None:
        _check(path, found, shape)
    return found


def _check(path: Path, found: dict[str, Any], shape: Any) -> None:
    from pydantic import TypeAdapter, ValidationError

    try:
        TypeAdapter(shape).validate_python(found)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise DgmError(f"{path}: is damaged: {place}: {first['msg']}") from error


def atomic_write(path: Path, content: bytes | str) -> None:
    """Write a file so that at any moment there is the old one or the new one, whole.

    Makes the folder if need be. DgmError, naming path and reason, leaves the old file in place.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise DgmError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
