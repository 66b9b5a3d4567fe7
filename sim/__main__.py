"""`python -m sim`. Nothing is imported until it runs: every process of a rehearsal imports this file once more."""

if __name__ == "__main__":
    from sim.cli import main

    main()
