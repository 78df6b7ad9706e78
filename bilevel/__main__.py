"""`python -m bilevel`."""

import sys

from bilevel.app import main

if __name__ == "__main__":
    sys.exit(main())
