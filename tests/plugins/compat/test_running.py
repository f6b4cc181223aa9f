"""A program under ``hubplug run`` and under Python: what it prints, its traceback and its exit status are the same."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent

import pytest

PYTHON = [sys.executable]
RUN = [sys.executable, "-m", "hubplug", "run"]


@dataclass(frozen=True)
class Program:
    """A program and how it is started.

    Attributes:
        code: What is in p.py.
        arguments: What stands behind ``python`` and ``hubplug run``.
        files: What lies beside p.py; those of a name with ``.pyz/`` in it, in a zipapp.
        options: Python's own options.
        status: The exit status, to be sure that the program came so far.
        shell: How it is started, with ``{}`` for ``python`` or ``hubplug run``.
        environment: Further variables.
    """

    code: str = ""
    arguments: Sequence[str] = ("p.py",)
    files: Mapping[str, str] = field(default_factory=dict)
    options: Sequence[str] = ()
    status: int = 0
    shell: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)


LOOK = """
    import os, sys
    print(sys.argv, sys.path, __name__, __file__, __spec__, __package__, __doc__, __cached__)
    print(sorted(name for name in globals() if name != "__builtins__"), sys.modules["__main__"].__dict__ is globals())
    print(os.getcwd(), sys.flags, sys.warnoptions, sys._xoptions, sys.stdin.isatty(), sys.executable, sys.prefix)
"""
PICKLE = "import pickle\nclass C: pass\ndef work(): print(type(pickle.loads(pickle.dumps(C()))), flush=True)\n"
PARALLEL = """
    import multiprocessing as m, sys
    class C: pass
    def work(queue): queue.put(C())
    if __name__ == "__main__":
        context = m.get_context("{}")
        queue = context.Queue()
        child = context.Process(target=work, args=(queue,))
        child.start()
        print(type(queue.get()))
        child.join()
"""

PROGRAMS = {
    "what it sees": Program(LOOK, ["p.py", "-x", "--flag=1", "", "a b", "--", "--tf1"]),
    "what it sees by an absolute path": Program(LOOK, ["{here}/p.py"]),
    "what it sees by a path with dots": Program(LOOK, ["d/../p.py"], {"d/x.py": ""}),
    "what it sees through a link": Program(LOOK, ["link.py"], {"d/x.py": "", "link.py": "-> p.py"}),
    "what it sees with options": Program(LOOK, options=["-O", "-u", "-B", "-W", "ignore", "-X", "dev", "-Wdefault"]),
    "what it sees as a module": Program(LOOK, ["-m", "p", "-x"]),
    "what it sees as a module of a package": Program(arguments=["-m", "d.q"], files={"d/__init__.py": "", "d/q.py": LOOK}),
    "what it sees as a package": Program(arguments=["-m", "d"], files={"d/__init__.py": "", "d/__main__.py": LOOK}),
    "what it sees in a directory": Program(arguments=["d"], files={"d/__main__.py": LOOK}),
    "what it sees in a zipapp": Program(arguments=["a.pyz", "x"], files={"a.pyz/__main__.py": LOOK}),
    "what it sees from a pipe": Program(LOOK.replace("__file__", "1"), shell="{} <(cat p.py) x | sed s,/dev/fd/[0-9]*,FD,g"),
    "what it sees from standard input": Program(LOOK.replace("__file__, __spec__, __package__, __doc__, __cached__", "1"), shell="{} - x < p.py"),
    "what it sees under a safe path": Program(LOOK, environment={"PYTHONSAFEPATH": "1"}),
    "what it sees with another path": Program(LOOK, files={"d/x.py": ""}, environment={"PYTHONPATH": "{here}/d"}),
    "a module of the working directory": Program(arguments=["d/q.py"], files={"w.py": "", "d/q.py": "import w"}, status=1),
    "a module of its own directory": Program(arguments=["d/q.py"], files={"d/w.py": "print(1)", "d/q.py": "import w"}),
    "a module of the working directory with -m": Program("import w", ["-m", "p"], {"w.py": "print(__file__)"}),
    "no such module": Program(arguments=["-m", "nobody"], status=1),
    "a package that cannot be run": Program(arguments=["-m", "d"], files={"d/__init__.py": ""}, status=1),
    "an exception": Program("def f():\n    raise KeyError('mine')\nf()", status=1),
    "exceptions with causes": Program("try:\n    1/0\nexcept Exception as e:\n    raise OSError(2, 'x') from e", status=1),
    "a group of exceptions": Program("raise ExceptionGroup('g', [ValueError(1)])", status=1),
    "an exception in a module": Program(arguments=["-m", "d.q"], files={"d/q.py": "1/0"}, status=1),
    "an exception in a zipapp": Program(arguments=["a.pyz"], files={"a.pyz/__main__.py": "import b", "a.pyz/b.py": "1/0"}, status=1),
    "an exception in a thread": Program("import threading\nt = threading.Thread(target=lambda: 1/0)\nt.start(); t.join()"),
    "an error of hubplug": Program("from hubplug.errors import MissingError\nraise MissingError('m', hint='h')", status=1),
    "a usage error of click": Program("import click\nraise click.UsageError('x')", status=1),
    "an abort of click": Program("import click\nraise click.Abort()", status=1),
    "an exit of click": Program("import click\nraise click.exceptions.Exit(3)", status=1),
    "a hook for exceptions": Program("import sys\nsys.excepthook = lambda *a: print(a[1], len(a))\n1/0", status=1),
    "a syntax error": Program("print(1)\nx = = 2", status=1),
    "a syntax error in an import": Program("import b", files={"b.py": "def"}, status=1),
    "a wrong coding": Program("# coding: nonsense\n", status=1),
    "bytes that are no text": Program("x = '\udcff'", status=1),
    "another coding": Program("# coding: latin-1\nprint(ascii('\udce9'))"),
    "a byte order mark": Program("\ufeffprint(1)"),
    "a future import": Program("from __future__ import annotations\ndef f(x: nobody): pass\nprint(f.__annotations__)"),
    "end of file": Program("input('? ')", status=1),
    "a broken pipe": Program("import sys\nfor i in range(100000): print(i)", shell="{} p.py | head -1; exit ${PIPESTATUS[0]}", status=1),
    "a broken pipe at the end": Program("import time\ntime.sleep(0.2)\nprint(1)", shell="{} p.py | true; exit ${PIPESTATUS[0]}", status=120, environment={"PYTHONUNBUFFERED": ""}),
    "no standard output": Program("import sys\nprint(1); sys.exit(sys.stdout is None)", shell="{} p.py >&-", status=1),
    "an interrupt": Program("import os, signal, time\nprint(1, flush=True)\nos.kill(os.getpid(), 2)\ntime.sleep(60)", status=-2),
    "an interrupt that is caught": Program("import os\ntry:\n    os.kill(os.getpid(), 2)\n    input()\nexcept KeyboardInterrupt:\n    print('caught')"),
    "an interrupt that is ignored": Program("import signal\nprint(signal.getsignal(2))", shell="trap '' INT; {} p.py"),
    "a termination": Program("import os, time\nos.kill(os.getpid(), 15)\ntime.sleep(60)", status=-15),
    "an abort": Program("import os\nos.abort()", status=-6),
    "an interrupt that is raised": Program("raise KeyboardInterrupt", status=-2),
    "exit": Program("import sys\nsys.exit()"),
    "exit 7": Program("import sys\nsys.exit(7)", status=7),
    "exit with None": Program("raise SystemExit(None)"),
    "exit with a text": Program("import sys\nsys.exit('why')", status=1),
    "exit with a tuple": Program("raise SystemExit(1, 2)", status=1),
    "exit with True": Program("raise SystemExit(True)", status=1),
    "exit with a large number": Program("raise SystemExit(256 + 3)", status=3),
    "exit with a negative number": Program("raise SystemExit(-1)", status=255),
    "exit at once": Program("import os\nos._exit(5)", status=5),
    "the builtin exit": Program("quit(4)", status=4),
    "an exit in a thread": Program("import sys, threading\nthreading.Thread(target=sys.exit, args=(3,)).start()"),
    "an exception at the end": Program("import atexit\natexit.register(lambda: 1/0)\nprint(1)"),
    "handlers at the end": Program(PICKLE + "import atexit\natexit.register(work)"),
    "a thread that outlives the main code": Program(
        PICKLE + "import threading, time\ndef late():\n    threading.main_thread().join()\n    work()\nthreading.Thread(target=late).start()"
    ),
    "a late import from a zipapp": Program(
        arguments=["a.pyz"], files={"a.pyz/__main__.py": "import atexit\natexit.register(lambda: __import__('b'))", "a.pyz/b.py": "print(__file__)"}
    ),
    "a forked process": Program(PARALLEL.replace("{}", "fork")),
    "a spawned process": Program(PARALLEL.replace("{}", "spawn")),
    "a spawned process of a module": Program(PARALLEL.replace("{}", "spawn"), ["-m", "p"]),
    "a fork server": Program(PARALLEL.replace("{}", "forkserver")),
    "a pool": Program(
        "from concurrent.futures import ProcessPoolExecutor as P\ndef f(x): return x + 1\n"
        "if __name__ == '__main__':\n    with P(2) as pool: print(list(pool.map(f, range(3))))"
    ),
    "warnings": Program("import warnings\nwarnings.warn('w', DeprecationWarning)\nwarnings.warn('v')\nopen('p.py')"),
    "warnings that are errors": Program("import warnings\nwarnings.warn('w')", options=["-W", "error"], status=1),
    "resources that are not closed": Program("x = open('p.py')\ndel x", options=["-Xdev"]),
    "assertions that are off": Program("assert False\nprint(__debug__)", options=["-OO"]),
    "isolated from the directory": Program("import b", files={"b.py": ""}, options=["-P"], status=1),
    "the frames of the main code": Program("import sys, traceback\ntraceback.print_stack()\nprint(sys._getframe().f_back)"),
    "inspection of its source": Program("import inspect\ndef f():\n    return 1\nprint(inspect.getsource(f), inspect.getfile(f))"),
    "a program that runs programs": Program("import runpy\nrunpy.run_path('q.py', run_name='__main__')", files={"q.py": LOOK}),
    "another program": Program("import subprocess, sys\nsubprocess.run([sys.executable, 'q.py', '1'])", files={"q.py": LOOK}),
    "the debugger": Program("x = 1\nprint(x)", ["-m", "pdb", "-c", "continue", "-c", "quit", "p.py"]),
    "a profile": Program("print(1)", ["-m", "cProfile", "-o", "profile", "p.py"]),
    "a customized start": Program(
        "import sys, sitecustomize as s\nprint(s.__file__, s.X)", files={"d/sitecustomize.py": "X = 1"}, environment={"PYTHONPATH": "{here}/d"}
    ),
    "arguments that are no text": Program("import sys\nprint(ascii(sys.argv))", ["p.py", "\udcff"]),
    "the modules of the import": Program("import tensorflow_hub_extra", files={"tensorflow_hub_extra.py": "print(__file__)"}),
}  # fmt: skip


def start(command: Sequence[str], program: Program, here: Path) -> tuple[int, str, str]:
    """Runs a program in its directory.

    Returns:
        Exit status, standard output and standard error.
    """
    environment = {
        **os.environ,
        **{name: value.replace("{here}", str(here)) for name, value in program.environment.items()},
    }
    command = [command[0], *program.options, *command[1:]]
    if program.shell:
        command = ["bash", "-c", program.shell.replace("{}", " ".join(command))]
    else:
        command = [*command, *(word.replace("{here}", str(here)) for word in program.arguments)]
    done = subprocess.run(
        command, cwd=here, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=False
    )
    printed = (re.sub("0x[0-9a-f]+", "0x", text.decode(errors="replace")) for text in (done.stdout, done.stderr))
    return (done.returncode, *printed)  # type: ignore[return-value]


def write(program: Program, here: Path) -> None:
    """Writes the files of a program."""
    for name, text in {"p.py": program.code, **program.files}.items():
        data = dedent(text).encode("utf-8", "surrogateescape")
        archive, _, member = name.partition(".pyz/")
        if member:
            with zipfile.ZipFile(here / f"{archive}.pyz", "a") as zipped:
                zipped.writestr(member, data)
        elif text.startswith("-> "):
            (here / name).symlink_to(text.removeprefix("-> "))
        else:
            (here / name).parent.mkdir(exist_ok=True)
            (here / name).write_bytes(data)


@pytest.mark.parametrize("what", PROGRAMS)
def test_a_program_runs_as_python_runs_it(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    program = PROGRAMS[what]
    if "ExceptionGroup" in program.code and sys.version_info < (3, 11):
        pytest.skip("Python 3.10 has no groups of exceptions")
    write(program, tmp_path)
    expected = start(PYTHON, program, tmp_path)
    assert expected[0] == program.status, expected
    assert start(RUN, program, tmp_path) == expected


def test_an_interrupt_from_outside_ends_a_program_as_python_ends(tmp_path: Path) -> None:
    (tmp_path / "p.py").write_text("import time\nprint('ready', flush=True); time.sleep(60)\n")
    ends = []
    for command in (PYTHON, RUN):
        with subprocess.Popen(
            [*command, "p.py"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            process.send_signal(signal.SIGINT)
            _, trace = process.communicate(timeout=60)
            # Without the marks below the line, as the signal may come before or within the sleep.
            ends.append(([line for line in trace.splitlines() if line.strip(" ^~")], process.returncode))
    assert ends[0] == ends[1]
    assert ends[0][1] == -signal.SIGINT


def run(tmp_path: Path, code: str, *options: str, before: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    (tmp_path / "p.py").write_text(dedent(code))
    command = [sys.executable, *before, "-m", "hubplug", "run", *options, "p.py"]
    return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)


STARTS_ANOTHER = {
    "spawned": "from multiprocessing import get_context\nget_context('spawn').Process(target=other).start()",
    "forkserver": "from multiprocessing import get_context\nget_context('forkserver').Process(target=other).start()",
    "forked": "import os\nos.fork() or other()",
    "a process of its own": "import subprocess, sys\nsubprocess.run([sys.executable, __file__, 'other'])",
    "a shell's": "import os, sys\nos.system(f'{sys.executable} {__file__} other')",
    "replaced": "import os, sys\nos.execv(sys.executable, [sys.executable, __file__, 'other'])",
}


@pytest.mark.parametrize("how", STARTS_ANOTHER)
def test_processes_that_a_program_starts_have_the_stand_in_too(how: str, tmp_path: Path) -> None:
    code = "import sys\ndef other():\n    import tensorflow_hub\n    print(tensorflow_hub.__doc__, flush=True)\n"
    code += "if __name__ == '__main__':\n    if sys.argv[1:]: other(); sys.exit()\n"
    code += "".join(f"    {line}\n" for line in STARTS_ANOTHER[how].splitlines())
    assert "hubplug, standing in for tensorflow_hub" in run(tmp_path, code).stdout


def test_an_import_of_tensorflow_hub_imports_nothing_large(tmp_path: Path) -> None:
    (tmp_path / "tensorflow.py").write_text("raise SystemExit('TensorFlow was imported')")
    done = run(
        tmp_path,
        """
        import sys
        import tensorflow_hub as hub
        from tensorflow_hub import tf_v1, module_spec
        import tensorflow_hub.feature_column
        assert hub.__version__ == "0.15.0"
        assert not hasattr(hub, "__wrapped__")
        print(sorted({"requests", "fsspec", "numpy", "google", "yaml"} & set(sys.modules)))
        """,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")


@pytest.mark.parametrize("option", ["-I", "-E", "-IB", "-sE"])
def test_a_python_that_ignores_its_environment_stands_in_all_the_same(
    option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONWARNINGS", "error")
    done = run(
        tmp_path,
        "import sys, tensorflow_hub\nprint(tensorflow_hub.__version__, sys.warnoptions, sys.flags.no_user_site)",
        before=[option],
    )
    assert (done.stdout, done.stderr) == (f"0.15.0 [] {int('s' in option or 'I' in option)}\n", "")


def test_a_python_of_another_environment_is_left_alone(tmp_path: Path) -> None:
    code = """
        import os, subprocess, sys
        os.environ["HUBPLUG_RUN"] = "/elsewhere"
        code = "import sys; print([type(f).__name__ for f in sys.meta_path].count('Finder'))"
        subprocess.run([sys.executable, "-c", code])
    """
    assert run(tmp_path, code).stdout == "0\n"


def test_what_cannot_be_run_is_two_lines(tmp_path: Path) -> None:
    done = subprocess.run([*RUN, "nobody.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == "error: nobody.py does not exist"
    (tmp_path / "empty").mkdir()
    done = subprocess.run([*RUN, "empty"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[0] == "error: empty is a directory without __main__.py"


@pytest.mark.parametrize(("given", "seen"), [(None, "2"), ("0", "0")])
def test_tensorflow_is_quiet_unless_someone_wants_to_hear_it(
    given: str | None, seen: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    if given is not None:
        monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", given)
    (tmp_path / "p.py").write_text("import os\nprint(os.environ['TF_CPP_MIN_LOG_LEVEL'])\n")
    done = subprocess.run([*RUN, "p.py"], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout == f"{seen}\n"
