"""Every benchmark loads: what a module takes from the project has not moved away."""

import pkgutil
import subprocess
import sys

import benchmarks


def test_every_benchmark_loads() -> None:
    """In a process of its own, since `run_without_witness` replaces functions as it loads."""
    names = [module.name for module in pkgutil.iter_modules(benchmarks.__path__, "benchmarks.")]
    assert len(names) > 20
    loading = "import importlib, sys; [importlib.import_module(name) for name in sys.argv[1:]]"
    loaded = subprocess.run([sys.executable, "-c", loading, *names], capture_output=True, text=True, check=False)
    assert loaded.returncode == 0, loaded.stderr
