"""`python -m bilevel.report`, the older name of `python -m bilevel report`."""

import sys

from bilevel.commands.report import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
