"""Opens the MLflow page of the results: `python -m bilevel ui [port=5000] [results=mlruns]`."""

import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from bilevel.config.command_line import command
from bilevel.config.options import options
from bilevel.errors import BadInput
from bilevel.tracking.location import address

_USAGE = "python -m bilevel ui [port=5000] [results=mlruns]"
HOST = "127.0.0.1"
# its job queue is for hosted servers: without it the page is there in half the time and memory
_ENVIRONMENT = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}


def _serving(arguments: Sequence[str]) -> list[str]:
    """Returns the command that serves the page. Raises BadInput where there is nothing to show or
    the port is taken."""
    given = options(arguments, ("port", "results"), (), _USAGE)
    port = given.get("port", "5000")
    if not port.isdigit() or not 0 < int(port) < 2**16:
        raise BadInput(f"port={port}: expected a whole number from 1 to 65535")
    database = Path(given.get("results", "mlruns")) / "mlflow.db"
    if not database.exists():
        raise BadInput(f"there is no {database} yet: run a search first, or give results=DIR")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, int(port)))
        except OSError as error:
            raise BadInput(
                f"port {port} cannot be used ({error.strerror}): another page may be open there "
                f"already, or choose another one with port={int(port) % 65535 + 1}"
            ) from None
    store = address(f"sqlite:///{database.resolve()}")
    served = [sys.executable, "-m", "mlflow", "ui", "--workers", "1", "--host", HOST]
    return [*served, "--port", port, "--backend-store-uri", store]


def main(arguments: Sequence[str]) -> int:
    """Replaces this process by the server; returns only with an exit code, after a failure."""

    def body(arguments: Sequence[str]) -> None:
        server = _serving(arguments)
        address = f"http://{HOST}:{server[server.index('--port') + 1]}"
        print(f"the page will be at {address} in a few seconds; stop it with Ctrl-C", flush=True)
        os.execve(server[0], server, {**_ENVIRONMENT, **os.environ})

    return command(arguments, __doc__, _USAGE, body)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
