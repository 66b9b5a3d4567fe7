"""`python -m sim`. Nothing is imported until it runs: every process of a rehearsal imports this file once more."""

import sys

if __name__ == "__main__":
    try:
        from sim.cli import main

        main()
    except KeyboardInterrupt:
        sys.exit(130)
