"""Asks a health address; what is behind it is another process of this program, or something else by mistake."""

import json
from http.client import HTTPConnection, HTTPException
from typing import Any, Final

from models.errors import InfrastructureError

__all__ = ["probed"]

_LIMIT_S: Final = 3.0
_MOST_BYTES: Final = 4 * 1024 * 1024
_YES: Final = 200
_NO: Final = 503

_ANYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1", "[::]": "::1"}  # noqa: S104 - an address to listen at, not to ask


def probed(address: str, path: str, *, limit_s: float = _LIMIT_S) -> tuple[bool, dict[str, Any]]:
    """Whether a probe says yes, and its body.

    Args:
        address: ``host:port``; of one that means every interface, this machine is asked.
        path: ``/livez`` or ``/readyz``.
        limit_s: how long each step of the answer may take.

    Raises:
        InfrastructureError: nobody answers there, or not as a worker does.
    """
    host, _, port = address.rpartition(":")
    host = _ANYWHERE.get(host, host).strip("[]")
    connection = HTTPConnection(host, int(port), timeout=limit_s)
    try:
        connection.request("GET", f"{path}?format=json", headers={"Accept": "application/json"})
        answer = connection.getresponse()
        body = json.loads(answer.read(_MOST_BYTES))
        if answer.status not in {_YES, _NO} or not isinstance(body, dict):
            raise InfrastructureError(f"{address} does not answer as a worker: {path} gives {answer.status}")
    except OSError as error:
        raise InfrastructureError(f"nobody answers at {address}: {error.strerror or error}") from error
    except (HTTPException, ValueError) as error:
        raise InfrastructureError(f"{address} does not answer as a worker: {type(error).__name__}") from error
    finally:
        connection.close()
    return answer.status == _YES, body
