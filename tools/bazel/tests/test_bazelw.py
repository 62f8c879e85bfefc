# SPDX-License-Identifier: Apache-2.0
"""bazelw finds or installs what is missing, and each failure is one line that says what to do.

Every program it may call is a stand-in from one folder, which is the whole PATH.
"""

import pathlib
import re
import shutil
import subprocess

import pytest

_COREUTILS = [
    "cat",
    "cmp",
    "cp",
    "dirname",
    "flock",
    "grep",
    "mkdir",
    "mktemp",
    "rm",
    "tail",
    "uname",
]
_BAZEL = '#!/bin/sh\npwd\nfor arg; do echo "[$arg]"; done\n'
# Makes a .venv whose python is this script again, and writes down what pip is asked for.
_PYTHON = """#!/bin/sh
case "$1 $2" in
  "-m venv") mkdir -p "$4/bin"; cp "$0" "$4/bin/python" ;;
  "-m pip") if [ "$3" = install ]; then
    case "$*" in *requirements-torch.lock*) echo torch ;; *) echo pip ;; esac >>"$LOG"
    [ -z "$PIP_FAILS" ] || { echo "ERROR: $PIP_FAILS"; exit 1; }
  fi ;;
esac
"""
# Installs clang-19 and bazel-4 whatever it is asked for, and writes that down.
_APT_GET = """#!/bin/sh
echo "apt-get $*" >>"$LOG"
[ -z "$APT_FAILS" ] || { echo "E: Unable to locate package"; exit 100; }
cp "$BIN/true-program" "$BIN/clang-19"
cp "$BIN/bazel-program" "$BIN/bazel-4"
"""


class Machine:
    """A folder of programs, and a workspace with bazelw in it."""

    def __init__(self, folder: pathlib.Path):
        self.bin = folder / "bin"
        self.workspace = folder / "work space"
        self.log = folder / "log"
        for path in (self.bin, self.workspace / "sub"):
            path.mkdir(parents=True)
        for name in ("bazelw", "WORKSPACE", "requirements.lock", "requirements-torch.lock"):
            shutil.copy(name, self.workspace / name)
        for name in _COREUTILS:
            (self.bin / name).symlink_to(shutil.which(name))
        self.program("true-program", "#!/bin/sh\n")
        self.program("bazel-program", _BAZEL)
        for name in ("ld", "objcopy", "objdump", "addr2line", "clang-19", "cmake", "chromium"):
            self.program(name, "#!/bin/sh\n")
        self.program("bazel-4", _BAZEL)
        self.program("python3", _PYTHON)
        self.program("apt-get", _APT_GET)
        self.user(1000)

    def program(self, name: str, text: str) -> None:
        (self.bin / name).write_text(text, encoding="utf-8")
        (self.bin / name).chmod(0o755)

    def user(self, uid: int) -> None:
        self.program("id", f"#!/bin/sh\necho {uid}\n")

    def run(self, *args, cwd=None, **env) -> subprocess.CompletedProcess:
        environ = {"PATH": str(self.bin), "BIN": str(self.bin), "LOG": str(self.log), **env}
        return subprocess.run(
            ["/bin/sh", str(self.workspace / "bazelw"), *args],
            cwd=cwd or self.workspace,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )

    def logged(self) -> list[str]:
        return self.log.read_text(encoding="utf-8").splitlines() if self.log.exists() else []


@pytest.fixture
def machine(tmp_path) -> Machine:
    return Machine(tmp_path)


def _assert_one_line(result: subprocess.CompletedProcess, *parts: str) -> None:
    """The last message is the failure; before it stand only notes of what is being done."""
    assert result.returncode == 1
    *notes, last = result.stderr.splitlines()
    assert all(re.search("installing|filling|adding", note) for note in notes)
    for part in parts:
        assert part in last
    assert result.stdout == ""


def test_arguments_reach_bazel_unchanged(machine):
    result = machine.run("test", "//...", "--test_arg=a b", "")
    assert result.stdout.splitlines()[1:] == ["[test]", "[//...]", "[--test_arg=a b]", "[]"]


def test_code_of_bazel_is_passed_on(machine):
    machine.program("bazel-4", "#!/bin/sh\nexit 3\n")
    assert machine.run("test").returncode == 3


@pytest.mark.parametrize(("where", "runs_in"), [(".", "."), ("sub", "sub"), ("..", ".")])
def test_runs_in_the_workspace_whatever_the_folder(machine, where, runs_in):
    result = machine.run("info", cwd=machine.workspace / where)
    assert result.stdout.splitlines()[0] == str((machine.workspace / runs_in).resolve())


@pytest.mark.parametrize("found", ["bazel-4", "bazelisk", "bazel"])
def test_finds_bazel_by_its_usual_names(machine, found):
    (machine.bin / "bazel-4").rename(machine.bin / found)
    assert machine.run("version").stdout.splitlines()[1:] == ["[version]"]


def test_bazel_variable_comes_first(machine):
    machine.program("my-bazel", "#!/bin/sh\necho mine\n")
    assert machine.run("version", BAZEL="my-bazel").stdout == "mine\n"


def test_bad_bazel_variable_is_named(machine):
    _assert_one_line(machine.run("version", BAZEL="/no/bazel"), "BAZEL=/no/bazel", "unset it")


def test_user_gets_the_command_for_what_is_missing(machine):
    (machine.bin / "clang-19").unlink()
    (machine.bin / "bazel-4").unlink()
    result = machine.run("test")
    _assert_one_line(result, "`sudo apt-get install -y bazel-bootstrap clang-19`")
    assert machine.logged() == []


def test_only_tests_need_cmake(machine):
    (machine.bin / "cmake").unlink()
    _assert_one_line(machine.run("test"), "`sudo apt-get install -y cmake`")
    assert machine.run("build", "//:wheel").returncode == 0
    assert machine.run("run", "//a:b", "--", "test").returncode == 0


def test_root_installs_what_is_missing_and_says_so(machine):
    (machine.bin / "clang-19").unlink()
    (machine.bin / "bazel-4").unlink()
    machine.user(0)
    result = machine.run("test")
    assert result.returncode == 0
    assert "installing bazel-bootstrap clang-19" in result.stderr
    assert machine.logged()[1].endswith(" bazel-bootstrap clang-19")


def test_failed_installation_is_one_line_with_the_reason(machine):
    (machine.bin / "clang-19").unlink()
    machine.user(0)
    _assert_one_line(machine.run("test", APT_FAILS="1"), "Unable to locate package", "apt")


def test_installation_that_does_not_help_is_told(machine):
    (machine.bin / "objdump").unlink()
    machine.user(0)
    _assert_one_line(machine.run("test"), "still missing", "binutils")


def test_browser_is_installed_for_tests_only(machine):
    (machine.bin / "chromium").unlink()
    machine.user(0)
    assert machine.run("build").returncode == 0
    assert machine.logged() == ["pip"]
    result = machine.run("test")
    assert result.returncode == 0
    assert "installing chromium" in result.stderr
    assert machine.logged()[-2].endswith(" chromium")


@pytest.mark.parametrize(("user", "fails"), [(1000, ""), (0, "1")])
def test_without_a_browser_all_else_works(machine, user, fails):
    (machine.bin / "chromium").unlink()
    machine.user(user)
    result = machine.run("test", APT_FAILS=fails)
    assert result.returncode == 0
    assert "tests of the timeline page will fail" in result.stderr


def test_other_systems_get_the_names(machine):
    (machine.bin / "clang-19").unlink()
    (machine.bin / "apt-get").unlink()
    machine.user(0)
    _assert_one_line(machine.run("test"), "clang-19", "package manager")


def test_environment_is_made_once_and_again_when_a_lock_changes(machine):
    machine.run("test")
    machine.run("test")
    assert machine.logged() == ["pip", "torch"]
    with open(machine.workspace / "requirements.lock", "a", encoding="utf-8") as lock:
        lock.write("extra==1\n")
    machine.run("test")
    assert machine.logged() == ["pip", "torch"] * 2
    with open(machine.workspace / "requirements-torch.lock", "a", encoding="utf-8") as lock:
        lock.write("extra==1\n")
    machine.run("test")
    assert machine.logged() == ["pip", "torch"] * 2 + ["torch"]


def test_failed_environment_is_one_line_and_is_tried_again(machine):
    _assert_one_line(machine.run("test", PIP_FAILS="1"), "pip", "run ./bazelw again")
    assert machine.run("test").returncode == 0
    assert machine.logged() == ["pip", "pip", "torch"]


@pytest.mark.parametrize(
    ("command", "setting", "wanted"),
    [("test", "", True), ("build", "", False), ("test", "0", False), ("build", "1", True)],
)
def test_torch_is_added_for_tests_or_on_request(machine, command, setting, wanted):
    env = {"ASCEND_ATTENTION_TORCH": setting} if setting else {}
    assert machine.run(command, **env).returncode == 0
    assert machine.logged() == (["pip", "torch"] if wanted else ["pip"])


def test_torch_that_cannot_be_installed_is_told(machine):
    machine.run("build")
    result = machine.run("test", PIP_FAILS="1")
    _assert_one_line(result, "PyTorch", "ASCEND_ATTENTION_TORCH=0")
    assert machine.logged() == ["pip", "torch"]
    assert machine.run("test", PIP_FAILS="1", ASCEND_ATTENTION_TORCH="0").returncode == 0


def test_torch_without_a_build_for_the_interpreter_is_left_out_and_told(machine):
    machine.run("build")
    result = machine.run("test", PIP_FAILS="No matching distribution found for torch-npu==2.13.0")
    assert result.returncode == 0
    assert "their tests are left out" in result.stderr
    machine.run("test")
    assert machine.logged() == ["pip", "torch"]  # not tried again


def test_wrong_setting_of_torch_is_named(machine):
    _assert_one_line(
        machine.run("test", ASCEND_ATTENTION_TORCH="yes"), "ASCEND_ATTENTION_TORCH=yes"
    )


@pytest.mark.parametrize("name", ["my-python", "../bin/my-python"])
def test_named_interpreter_replaces_the_environment(machine, name):
    machine.program("my-python", _PYTHON)
    machine.program("bazel-4", '#!/bin/sh\necho "$ASCEND_ATTENTION_PYTHON"\n')
    result = machine.run("test", ASCEND_ATTENTION_PYTHON=name)
    assert pathlib.Path(result.stdout.strip()).resolve() == (machine.bin / "my-python").resolve()
    assert result.stdout.startswith("/")
    assert not (machine.workspace / ".venv").exists()


def test_unfit_named_interpreter_is_one_line_with_what_it_lacks(machine):
    machine.program("my-python", "#!/bin/sh\necho numpy is missing\nexit 1\n")
    result = machine.run("test", ASCEND_ATTENTION_PYTHON="my-python")
    _assert_one_line(result, "numpy is missing", "-m pip install -r", "requirements.lock")


def test_named_interpreter_that_is_not_there_is_told(machine):
    result = machine.run("test", ASCEND_ATTENTION_PYTHON="/no/python")
    _assert_one_line(result, "ASCEND_ATTENTION_PYTHON=/no/python", "unset it")


def test_missing_python_is_one_line(machine):
    machine.program("python3", "#!/bin/sh\nexit 1\n")
    _assert_one_line(machine.run("test"), "python3-venv")
