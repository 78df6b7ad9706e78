"""The first call in a confined run: what has to be so before torch is imported."""

import tempfile


def serve() -> None:
    tempfile.tempdir = "/"  # torch asks for a place to write when it starts; there is none
    from bilevel.tasks.cpu_gpt_code import script_runner

    script_runner.serve()
