"""Stand-ins for what a local Kafka is made of: programs, and a Java that acts as a broker."""

import sys
from pathlib import Path

FAKE_JAVA = Path(__file__).parent / "unit" / "fake_java.py"
JAR = "kafka_2.13-4.3.1.jar"


def program(path: Path, script: str) -> Path:
    """Write an executable shell script."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def fake_java(folder: Path) -> Path:
    """Return a `java` below `folder` that acts as a broker with one node."""
    return program(folder / "jdk" / "bin" / "java", f'exec {sys.executable} -SE {FAKE_JAVA} "$@"')
