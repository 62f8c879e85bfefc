# SPDX-License-Identifier: Apache-2.0
"""The install tree serves a project that knows nothing of this repository: CMake and a compiler."""

import os
import pathlib
import re
import shutil
import subprocess
import tarfile

import pytest

from tools.packaging import install

ARCHIVE = pathlib.Path("host_cc/install_tree.tar.gz")
SAMPLE = pathlib.Path("host_cc/examples/engine_loop")


def run(*command, **environ) -> subprocess.CompletedProcess:
    """Runs a program of the system without any variable that names a part of ours."""
    env = {"PATH": "/usr/bin:/bin:/usr/local/bin", **environ}
    if shutil.which("c++", path=env["PATH"]) is None:
        env |= {"CC": "clang-19", "CXX": "clang++-19"}  # bazelw has seen to these
    return subprocess.run(
        list(map(str, command)), capture_output=True, text=True, timeout=120, check=False, env=env
    )


def checked(*command, **environ) -> str:
    done = run(*command, **environ)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def prefix(tmp_path_factory) -> pathlib.Path:
    """An install tree that was moved after it was installed."""
    folder = tmp_path_factory.mktemp("install")
    assert install.main([str(ARCHIVE), str(folder / "before")]) == 0
    (folder / "before").rename(folder / "moved here")
    return folder / "moved here"


def build(project: pathlib.Path, prefix: pathlib.Path) -> pathlib.Path:
    assert shutil.which("cmake"), "no cmake: `./bazelw test` installs it, or names it"
    folder = project.parent / (project.name + "_build")
    checked("cmake", "-S", project, "-B", folder, f"-DCMAKE_PREFIX_PATH={prefix}")
    checked("cmake", "--build", folder)
    return folder


def test_engine_loop_is_built_by_cmake_and_right(prefix, tmp_path):
    shutil.copytree(SAMPLE, tmp_path / "engine_loop")
    program = build(tmp_path / "engine_loop", prefix) / "engine_loop"
    text = checked(program)
    assert text.count("is done") == 4
    assert re.search(r"\(virtual NPU\), 24 cores: 9 steps, max error [1-9]\.\de-04$", text.strip())
    # All of it lies in the tree: moved once more, only the library has to be found.
    with_library = tmp_path / "elsewhere"
    shutil.copytree(prefix, with_library)
    shutil.rmtree(tmp_path / "engine_loop")
    hidden = prefix.with_name("away")
    prefix.rename(hidden)
    try:
        assert run(program).returncode != 0
        assert checked(program, LD_LIBRARY_PATH=str(with_library / "lib")) == text
    finally:
        hidden.rename(prefix)


def test_project_in_c_alone(prefix, tmp_path):
    project = tmp_path / "c"
    project.mkdir()
    (project / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.16)\n"
        "project(about LANGUAGES C)\n"
        "find_package(ascend_attention REQUIRED)\n"
        "add_executable(about about.c)\n"
        "target_link_libraries(about ascend_attention::ascend_attention)\n"
    )
    (project / "about.c").write_text(
        '#include "ascend_attention/c_api.h"\n'
        "#include <stdio.h>\n"
        "int main(void) {\n"
        "  AscendAttentionRuntime* runtime = NULL;\n"
        "  int status = ascend_attention_runtime_open(NULL, &runtime);\n"
        "  puts(status ? ascend_attention_last_error()\n"
        "              : ascend_attention_runtime_description(runtime));\n"
        "  ascend_attention_runtime_close(runtime);\n"
        "  return status;\n"
        "}\n"
    )
    assert checked(build(project, prefix) / "about") == "Ascend910B1 (virtual NPU), 24 cores\n"


def test_requests_for_other_versions_are_refused(prefix, tmp_path):
    served = {"": 1, "0": 1, "0.1": 1, "0.1.0": 1, "0.1.1": 0, "0.2": 0, "0.0": 0, "1": 0}
    finds = [
        f"find_package(ascend_attention {version} QUIET)\n"
        f'message(STATUS "{version}=${{ascend_attention_FOUND}}")\n'
        for version in served
    ]
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.16)\nproject(versions LANGUAGES NONE)\n" + "".join(finds)
    )
    text = checked("cmake", f"-DCMAKE_PREFIX_PATH={prefix}", "-B", tmp_path / "b", "-S", tmp_path)
    found = dict(re.findall(r"^-- ([\d.]*)=([01])$", text, flags=re.MULTILINE))
    assert {version: int(value) for version, value in found.items()} == served


def test_headers_include_each_other_below_one_path(prefix):
    include = prefix / "include"
    headers = [path for path in include.rglob("*") if path.is_file()]
    assert {path.relative_to(include).parts[0] for path in headers} == {"ascend_attention"}
    for header in headers:
        for name in re.findall(r'#include "([^"]+)"', header.read_text(encoding="utf-8")):
            assert (include / name).is_file(), f"{header} includes {name}"


def test_nothing_in_the_tree_knows_where_it_was_built():
    with tarfile.open(ARCHIVE) as archive:
        for entry in archive:
            data = archive.extractfile(entry).read()
            for word in (os.getcwd().encode(), b"/execroot/", b"/sandbox/", b"/root/"):
                assert data.count(word) == 0, f"{entry.name} contains {word!r}"
            assert (entry.mtime, entry.uid, entry.gid, entry.uname) == (0, 0, 0, "")


def test_library_needs_the_system_alone_and_shows_its_api_alone(prefix):
    library = prefix / "lib/libascend_attention.so"
    dynamic = checked("readelf", "-d", library)
    needed = set(re.findall(r"NEEDED.*\[(\w[\w+-]*)\.so", dynamic))
    assert {name for name in needed if not name.startswith("ld-linux")} <= {
        *("libstdc++", "libm", "libgcc_s", "libc", "libdl", "libpthread")
    }
    assert "PATH" not in dynamic
    assert "SONAME" in dynamic
    names = checked("nm", "-DC", "--defined-only", library).splitlines()
    names = [line.split(" ", 2)[2] for line in names]
    assert [name for name in names if "::Impl::" in name] == []
    assert [name for name in names if not re.match(r"ascend_attention(::|_\w+$)", name)] == []
    c_api = (prefix / "include/ascend_attention/c_api.h").read_text(encoding="utf-8")
    declared = set(re.findall(r"\b(ascend_attention_\w+)\(", c_api))
    assert declared == {name for name in names if "::" not in name}


def test_install_names_what_it_cannot_write(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert install.main([str(ARCHIVE), str(tmp_path / "file")]) == 1
    assert f"cannot install into {tmp_path}/file" in capsys.readouterr().err
    assert install.main([str(ARCHIVE)]) == 2
    assert "usage" in capsys.readouterr().err
