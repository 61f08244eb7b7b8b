# SPDX-License-Identifier: Apache-2.0
"""The images and `docker/csim`: what it asks an engine for, what it refuses, and the small image built and run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from packaging.requirements import Requirement

from qap2fpga.ir import storage
from qap2fpga.synth.amd.tool import INSTALLED
from tests.unit.build.test_csim import NETWORK
from tests.unit.system.test_programs import program

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
LICENCES = ("XILINXD_LICENSE_FILE", "LM_LICENSE_FILE")
# What an engine is asked for first, and how it is asked to build.
INSPECT = ["image", "inspect", "qap2fpga-csim"]
BUILD = ["build", "-f", f"{DOCKER / 'Dockerfile'}", "--target", "csim", "-t", "qap2fpga-csim", f"{ROOT}"]
RUN = ["run", "--rm", "-e", "HOME=/tmp"]


def csim(*arguments: object, engine: Path | str = "", **environment: object) -> subprocess.CompletedProcess[str]:
    """`docker/csim ARGUMENTS` without the caller's settings."""
    kept = {key: value for key, value in os.environ.items() if key not in (*LICENCES, "XILINX", "CONTAINER_ENGINE")}
    given = {"CONTAINER_ENGINE": engine, **environment} if engine else environment
    line = [str(DOCKER / "csim"), *map(str, arguments)]
    chosen = {**kept, **{key: str(value) for key, value in given.items()}}
    return subprocess.run(line, env=chosen, capture_output=True, text=True, check=False)


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    """An engine that writes down what it is asked for, a line per word; FAIL is the verb that fails, with CODE."""
    text = f"""for word; do echo "$word"; done >> {tmp_path}/calls; echo >> {tmp_path}/calls
[ "${{FAIL:-}}" != "$1" ] || exit "$CODE\""""
    return program(tmp_path / "engine", text)


def calls(engine: Path) -> list[list[str]]:
    """What the engine was asked for."""
    text = (engine.parent / "calls").read_text() if (engine.parent / "calls").is_file() else ""
    return [call.split("\n") for call in text.split("\n\n") if call]


def test_without_anything_the_images_own_project_runs_and_the_image_chooses(engine: Path) -> None:
    assert csim(engine=engine).returncode == 0
    assert calls(engine) == [INSPECT, [*RUN, "qap2fpga-csim", "jets"]]


def test_an_image_that_is_not_there_is_built_first(engine: Path) -> None:
    assert csim("--tool", "g++", engine=engine, FAIL="image", CODE=1).returncode == 0
    assert calls(engine) == [INSPECT, BUILD, [*RUN, "qap2fpga-csim", "jets", "--tool", "g++"]]


@pytest.mark.parametrize("asked", [(), ("--tool", "vitis"), ("--tool=vitis",)])
def test_an_installation_is_mounted_read_only_with_its_licences(
    engine: Path, tmp_path: Path, asked: tuple[str, ...]
) -> None:
    xilinx, licence = tmp_path / "Xilinx 2023.2", tmp_path / "Xilinx.lic"
    xilinx.mkdir()
    licence.touch()
    names = {"XILINXD_LICENSE_FILE": f"{licence}:2100@server", "LM_LICENSE_FILE": "2100@other"}
    assert csim(*asked, engine=engine, XILINX=xilinx, **names).returncode == 0
    first, second = (f"{name}={value}" for name, value in names.items())
    passed = ["--network", "host", "-v", f"{xilinx}:{INSTALLED}:ro"]
    passed += ["-e", first, "-v", f"{licence}:{licence}:ro", "-e", second]
    assert calls(engine)[1] == [*RUN, *passed, "qap2fpga-csim", "jets", "--tool", "vitis"]


def test_an_installation_stays_out_where_gxx_is_asked_for(engine: Path, tmp_path: Path) -> None:
    assert csim("--tool", "g++", engine=engine, XILINX=tmp_path, LM_LICENSE_FILE=tmp_path / "none").returncode == 0
    assert calls(engine)[1] == [*RUN, "qap2fpga-csim", "jets", "--tool", "g++"]


@pytest.mark.parametrize("podman", [False, True])
def test_a_build_is_mounted_for_the_user_who_asks(engine: Path, tmp_path: Path, podman: bool) -> None:
    build = tmp_path / "my build"
    build.mkdir()
    named = engine.rename(tmp_path / "podman") if podman else engine
    assert csim(build, engine=named).returncode == 0
    user = ["--user", f"{os.getuid()}:{os.getgid()}", "-v", f"{build}:/build"]
    keep = ["--userns", "keep-id"] if podman else []
    assert calls(engine)[1] == [*RUN, *keep, *user, "qap2fpga-csim", "/build"]


def test_docker_comes_before_podman_and_one_of_them_is_enough(engine: Path, tmp_path: Path) -> None:
    place = tmp_path / "bin"
    place.mkdir()
    for name in ("sh", "dirname", "cat", "id"):
        (place / name).symlink_to(shutil.which(name) or "")
    simulations = csim(PATH=place)
    assert simulations.returncode == 2 and "neither docker nor podman is on PATH" in simulations.stderr
    for name in ("podman", "docker"):
        program(place / name, f"echo {name}")
        assert csim(PATH=place).stdout.split() == [name]


@pytest.mark.parametrize("arguments, environment, what, hint", [
    (("--tool", "vitis"), {}, "XILINX does not say where it is", "XILINX=/tools/Xilinx docker/csim"),
    ((), {"XILINX": "/gone/Xilinx"}, "XILINX is '/gone/Xilinx', which is no folder", "--tool g++"),
    ((), {"XILINX": "/", "XILINXD_LICENSE_FILE": "1@a:/gone.lic"}, "the licence /gone.lic is missing", "XILINXD_"),
    ((), {"XILINX": "/", "LM_LICENSE_FILE": "here.lic"}, "LM_LICENSE_FILE names the licence 'here.lic'", "give one"),
    (("/gone/build",), {}, "/gone/build is no folder", "--backend hls4ml"), (("a", "b"), {}, "two folders", "give one"),
    (("--tool", "gcc"), {}, "unknown tool 'gcc'", "g++, vitis"),
    (("--tool",), {}, "--tool without a tool", "--tool g++"),
    (("--fast",), {}, "unknown option '--fast'", "--help"),
    ((), {"FAIL": "run", "CODE": 125}, "could not run the image qap2fpga-csim (125)", "stands above"),
])  # fmt: skip
def test_what_cannot_be_is_one_message(
    engine: Path, arguments: tuple[str, ...], environment: dict[str, object], what: str, hint: str
) -> None:
    simulations = csim(*arguments, engine=engine, **environment)
    assert (simulations.returncode, simulations.stdout) == (2, "")
    first, second = simulations.stderr.splitlines()
    assert first.startswith("docker/csim: ") and what in first and hint in second
    assert not [call for call in calls(engine) if call[0] == "run"] or "FAIL" in environment


def test_an_image_that_cannot_be_built_is_one_message(tmp_path: Path) -> None:
    broken = program(tmp_path / "engine", "echo no daemon >&2; exit 1")
    simulations = csim(engine=broken)
    assert simulations.returncode == 2 and "the image qap2fpga-csim could not be built" in simulations.stderr
    assert "no daemon" in simulations.stderr
    gone = csim(engine=tmp_path / "gone")
    assert gone.returncode == 2 and f"CONTAINER_ENGINE is '{tmp_path / 'gone'}', which is not there" in gone.stderr


@pytest.mark.parametrize("code", [0, 1, 2])
def test_what_the_simulation_finds_is_the_exit_code(engine: Path, code: int) -> None:
    simulations = csim(engine=engine, FAIL="run", CODE=code)
    assert (simulations.returncode, simulations.stderr) == (code, "")


def pins(name: str) -> dict[str, str]:
    """Package to version of a list, every line of which must be exact."""
    results = {}
    for line in (DOCKER / f"{name}.txt").read_text().splitlines():
        if not line.startswith("#"):
            assert re.fullmatch(r"[a-z0-9-]+==[0-9.]+", line), line
            package, version = line.split("==")
            assert package not in results
            results[package] = version
    return results


def test_the_lists_are_exact_and_what_the_package_asks_for() -> None:
    demo, small = pins("demo"), pins("csim")
    assert small.items() <= demo.items(), "one version of each package in both images"
    assert not {"torch", "finn-plus", "qonnx", "brevitas", "onnx", "scipy"} & small.keys() and "hls4ml" in small
    torch = re.search(r"^ARG TORCH=torch==(.*)$", (DOCKER / "Dockerfile").read_text(), re.MULTILINE)
    assert torch is not None
    held = {**demo, "torch": torch[1]}
    for text in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]:
        expected = Requirement(text)
        assert expected.specifier.contains(held[expected.name]), text
    assert "hatchling" in pins("wheel")


def test_dockerfile_compose_and_program_name_the_same_things() -> None:
    text = (DOCKER / "Dockerfile").read_text()
    assert text.index("ARG BASE=debian:bookworm-slim\n") < text.index("FROM ")
    stages = re.findall(r"^FROM (\S+) AS (\S+)$", text, re.MULTILINE)
    named = [name for _, name in stages]
    assert stages[0][0] == "${BASE}" and all(base in named for base, _ in stages[1:]) and named[-1] == "demo"
    for target in ("csim", "demo"):
        stage = text[text.index(f" AS {target}\n") :].split("\nFROM ")[0]
        assert "\nUSER qap\n" in stage
        # What made the packages is not in the image.
        assert "pip" not in stage and f"COPY --from={target}-packages /opt/qap2fpga" in stage
    for line in re.findall(r"^COPY (?:--chown=\S+ )?(?!--from)(.*) \S+$", text, re.MULTILINE):
        assert all((ROOT / source).exists() for source in line.split()), line
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    assert {name: one["build"]["target"] for name, one in services.items()} == {"csim": "csim", "demo": "demo"}
    assert services["csim"]["image"] == BUILD[6] and (ROOT / services["csim"]["build"]["dockerfile"]).is_file()
    assert services["csim"]["volumes"] == [f"${{XILINX:-/dev/null}}:{INSTALLED}:ro"]
    assert tuple(services["csim"]["environment"]) == LICENCES
    assert f"\nmount={INSTALLED}\n" in (DOCKER / "csim").read_text()
    # No vendor's file can come in: what is copied is ours, and the installation is mounted.
    assert str(INSTALLED) not in text


@pytest.mark.slow
def test_the_images_network_is_the_shipped_model(example: Path, tmp_path: Path) -> None:
    from qap2fpga.frontend.checkpoint.widths import Widths
    from qap2fpga.frontend.prepare import Source, prepare

    prepared = prepare(Source(example, Widths(), compare=False), print)
    storage.save(prepared.network, tmp_path / "network.npz")
    with np.load(tmp_path / "network.npz") as fresh, np.load(NETWORK) as shipped:
        assert sorted(fresh) == sorted(shipped)
        assert all(np.array_equal(fresh[name], shipped[name]) for name in fresh)


# Vitis HLS, as far as C simulation goes: it compiles and runs the project's testbench, with the open ap_types.
VITIS_HLS = r"""
[ "${XILINXD_LICENSE_FILE:-}" != 1@gone ] || { echo "ERROR: [Common 17-345] A valid license was not found"; exit 1; }
flags=$(sed -n 's/^set bench_flags "\(.*\)"$/\1/p' settings.tcl)
g++ $flags -w -I/build/hls4ml/firmware/ap_types -I. testbench.cpp firmware/qap2fpga.cpp -o bench && ./bench &&
    echo "qap2fpga: csim finished"
"""


# What debootstrap, apt and pip say where the machine, not the image, is at fault.
UNREACHABLE = (
    "Could not resolve", "Temporary failure", "Could not connect", "Connection refused", "Network is unreachable",
    "Failed to establish a new connection", "from versions: none", "Failed getting release file", "Unable to connect",
    "cannot create device", "mknod:", "Operation not permitted",
)  # fmt: skip


@pytest.fixture(scope="module")
def containers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, object]]:
    """The engine without a daemon, which keeps its images in a folder of the tests'."""
    missing = [name for name in ("buildah", "debootstrap") if shutil.which(name) is None]
    if missing or os.geteuid() != 0:
        pytest.skip(f"no container is built here: it needs root{''.join(f' and {name}' for name in missing)}")
    place = tmp_path_factory.mktemp("containers")
    conf = place / "storage.conf"
    # vfs needs nothing of the kernel, but copies the whole image for every run.
    for driver in ("overlay", "vfs"):
        where = f'graphroot = "{place}/images"\nrunroot = "{place}/run"\n'
        conf.write_text(f'[storage]\ndriver = "{driver}"\n{where}')
        environment = {**os.environ, "CONTAINERS_STORAGE_CONF": str(conf)}
        if subprocess.run(["buildah", "info"], env=environment, capture_output=True, check=False).returncode == 0:
            break
    yield {"engine": DOCKER / "buildah-chroot", "CONTAINERS_STORAGE_CONF": conf}
    shutil.rmtree(place)


@pytest.mark.slow
@pytest.mark.xdist_group("containers")
def test_the_small_image_built_and_run(containers: dict[str, object], tmp_path: Path) -> None:
    """By g++ on the image's own project, by what is mounted as Vitis HLS on a user's build; and what may fail."""
    own = csim(**containers)
    unreachable = next((text for text in UNREACHABLE if text in own.stdout + own.stderr), None)
    if own.returncode and unreachable:
        pytest.skip(f"no registry can be reached from inside of a container here: {unreachable}")
    assert own.returncode == 0, own.stderr[-3000:]
    assert "2163 vectors, 0 mismatches" in own.stdout and "since Vitis HLS is absent" in own.stderr

    build, xilinx = tmp_path / "build", tmp_path / "Xilinx"
    build.mkdir()
    build.chmod(0o777)
    script = "id -un; ls /opt/qap2fpga/lib/python3*/site-packages; du -sxm / 2>/dev/null | cut -f1; cp -r jets/. /made"
    line = [containers["engine"], "run", "--rm", "--entrypoint", "sh", "-v", f"{build}:/made", INSPECT[2], "-c", script]
    environment = {**os.environ, **{name: str(value) for name, value in containers.items()}}
    inside = subprocess.run([*map(str, line)], env=environment, check=True, stdout=subprocess.PIPE, text=True)
    printed = inside.stdout.splitlines()
    assert printed[0] == "qap" and "hls4ml" in printed and not {"torch", "finn", "onnx", "qonnx"} & set(printed)
    assert int(printed[-1]) < 1500, "MB"

    place = xilinx / "Vitis_HLS" / "2023.2" / "bin"
    place.mkdir(parents=True)
    program(place / "vitis_hls", VITIS_HLS)
    vitis = csim(build, XILINX=xilinx, **containers)
    assert vitis.returncode == 0, vitis.stderr
    assert "Vitis HLS C simulation 2023.2: C++ of hls4ml with the integer network, outputs: 100 vectors" in vitis.stdout
    assert f"C simulation with Vitis HLS 2023.2, {INSTALLED}/Vitis_HLS/2023.2/bin/vitis_hls" in vitis.stderr

    shutil.rmtree(build / "csim-again")
    licence = csim(build, XILINX=xilinx, XILINXD_LICENSE_FILE="1@gone", **containers)
    assert (licence.returncode, licence.stdout) == (2, "") and "no licence: ERROR: [Common 17-345]" in licence.stderr
    program(place / "vitis_hls", f"touch {INSTALLED}/written")
    assert "Read-only file system" in csim(build, XILINX=xilinx, **containers).stderr
    (place / "vitis_hls").unlink()
    empty = csim(build, XILINX=xilinx, **containers)
    assert (empty.returncode, empty.stdout) == (2, "") and "Vitis HLS is absent" in empty.stderr
