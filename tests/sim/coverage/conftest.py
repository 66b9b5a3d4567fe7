from tests.sim.checks.conftest import run

__all__ = ["run"]
