"""`i2v sandbox` as a process: what ends it ends all of it."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_sandbox_ends_with_its_command(tmp_path: Path, number: signal.Signals) -> None:
    command = [str(Path(sys.executable).with_name("i2v")), "sandbox", "--port", "0", "--data", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=tmp_path, env=os.environ.copy()) as running:
        assert running.stdout is not None
        assert "url" in json.loads(running.stdout.readline())
        everything = [psutil.Process(running.pid), *psutil.Process(running.pid).children(recursive=True)]
        running.send_signal(number)
        _, alive = psutil.wait_procs(everything, timeout=20)
        for left in alive:
            left.kill()
        assert alive == []
