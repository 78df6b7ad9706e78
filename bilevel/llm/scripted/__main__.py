"""Serves the stand-in model: python -m bilevel.llm.scripted --port 0"""

import argparse
import sys
from collections.abc import Sequence

from bilevel.errors import ConfigError
from bilevel.llm.scripted.server import listen


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves until interrupted; prints the base URL to give as llm.base_url."""
    parser = argparse.ArgumentParser(prog="python -m bilevel.llm.scripted", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 (the default) takes any free port")
    options = parser.parse_args(arguments)
    try:
        server, base_url = listen(options.port)
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    with server:
        print(base_url, flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
