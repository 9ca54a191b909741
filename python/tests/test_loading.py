"""Opening a workload: factory form, import, search path, environment, names that clash."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import Caller, Project

from torchbed._host.failures import Failure

SIMPLE = "class W:\n    def __init__(self, config): self.workload_name = str(config)\n"


def refusal(opened: tuple[bool, Any]) -> Failure:
    answered, failure = opened
    assert not answered, failure
    return failure  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("factory", "text"),
    [
        ("digits", "python workload_factory must use module:attr form"),
        ("", "python workload_factory must use module:attr form"),
        (":create", "python workload_factory must include non-empty module and attr"),
        ("digits:", "python workload_factory must include non-empty module and attr"),
        (" : ", "python workload_factory must include non-empty module and attr"),
    ],
)
def test_a_malformed_factory_is_refused_with_the_texts_of_the_spec(
    project: Project, factory: str, text: str
) -> None:
    failure = refusal(project.open(factory))
    assert failure["code"] == "ERR_WORKLOAD_FACTORY"
    assert failure["message"].startswith(text)
    assert repr(factory) in failure["message"]


def test_the_factory_is_called_with_the_config_and_its_result_is_the_workload(
    project: Project,
) -> None:
    project.write("loading_a", SIMPLE)
    answered, opened = project.open("loading_a:W", {"lr": 0.1})
    assert answered
    assert opened["workload_name"] == "{'lr': 0.1}"
    assert isinstance(opened["session"], int)


def test_a_factory_may_be_in_a_package_and_may_be_async(project: Project) -> None:
    project.write("loading_package.__init__", "")
    project.write(
        "loading_package.inner",
        """
        import asyncio
        class W: pass
        async def create(config):
            await asyncio.sleep(0)
            return W()
        """,
    )
    answered, opened = project.open("loading_package.inner:create")
    assert (answered, opened["workload_name"]) == (True, "W")


def test_a_missing_module_is_an_import_error_that_lists_the_search_roots(
    project: Project,
) -> None:
    failure = refusal(project.open("loading_nowhere:create"))
    assert failure["code"] == "ERR_WORKLOAD_IMPORT"
    assert failure["python_type"] == "ModuleNotFoundError"
    assert "No module named 'loading_nowhere'" in failure["message"]
    assert str(project.root) in failure["message"]


@pytest.mark.parametrize(
    ("source", "factory", "part"),
    [
        ("", "create", "has no attribute 'create'"),
        ("create = 3", "create", "create is 3, not a function or class"),
        ("def create(config): pass", "create", "returned None"),
        ("def create(config): raise ValueError('bad lr')", "create", "ValueError: bad lr"),
        ("def create(): pass", "create", "takes 0 positional arguments"),
        ("raise SystemExit(2)", "create", "SystemExit: 2"),
        ("def create(config) return 1", "create", "SyntaxError"),
        ("import not_installed_anywhere", "create", "No module named 'not_installed_anywhere'"),
    ],
)
def test_a_factory_that_gives_no_workload_is_an_import_error_that_says_why(
    project: Project, source: str, factory: str, part: str
) -> None:
    module = f"loading_bad_{abs(hash(source))}"
    project.write(module, source)
    failure = refusal(project.open(f"{module}:{factory}"))
    assert failure["code"] == "ERR_WORKLOAD_IMPORT"
    assert part in failure["message"]
    assert f"{module}:{factory}" in failure["message"]


def test_a_syntax_error_shows_the_line(project: Project) -> None:
    path = project.write("loading_syntax", "x = 1\ny = = 2\n")
    failure = refusal(project.open("loading_syntax:create"))
    assert f'File "{path}", line 2' in failure["traceback"]
    assert "y = = 2" in failure["traceback"]


@pytest.mark.parametrize(
    "source",
    [
        "raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')",
        "def create(config): raise ModuleNotFoundError('t', name='torch')",
    ],
)
def test_a_factory_without_torch_names_the_remedy(project: Project, source: str) -> None:
    module = f"loading_torch_{abs(hash(source))}"
    project.write(module, source)
    failure = refusal(project.open(f"{module}:create"))
    assert failure["code"] == "ERR_TORCH_MISSING"
    assert failure["message"].endswith("-m pip install torch")


def test_a_workload_name_that_is_no_str_is_a_protocol_error(project: Project) -> None:
    project.write(
        "loading_name", "class W:\n    workload_name = 3\n    def __init__(self, c): pass"
    )
    failure = refusal(project.open("loading_name:W"))
    assert failure["code"] == "ERR_PROTOCOL"
    assert failure["message"] == "workload_name must be a str, got 3"


# --- search path and environment ---


def test_search_roots_come_first_in_their_order_and_only_once(
    project: Project, tmp_path: Path
) -> None:
    project.write("loading_b", SIMPLE)
    roots = [str(tmp_path / "one"), str(project.root), str(tmp_path / "two")]
    sys.path.append(roots[0])
    assert project.open("loading_b:W", module_search_roots=[*roots, roots[0]])[0]
    assert sys.path[:3] == roots
    assert sys.path.count(roots[0]) == 1


def test_relative_search_roots_are_made_absolute(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write("loading_c", SIMPLE)
    monkeypatch.chdir(project.root)
    assert project.open("loading_c:W", module_search_roots=["."])[0]
    assert sys.path[0] == str(project.root)


def test_the_search_path_is_put_back_when_loading_fails(project: Project) -> None:
    before = list(sys.path)
    refusal(project.open("loading_missing:create"))
    assert sys.path == before


def test_a_module_that_failed_to_import_can_be_mended_and_opened_again(project: Project) -> None:
    project.write("loading_mended", "1 / 0")
    assert "ZeroDivisionError" in refusal(project.open("loading_mended:W"))["message"]
    project.write("loading_mended", SIMPLE)
    assert project.open("loading_mended:W")[0]


def test_env_is_set_before_the_import(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOADING_D", raising=False)
    project.write("loading_d", "import os\nname = os.environ['LOADING_D']\n" + SIMPLE)
    assert project.open("loading_d:W", env={"LOADING_D": "yes"})[0]
    assert os.environ["LOADING_D"] == "yes"


@pytest.mark.parametrize("env", [{"A\0": "b"}, {"A": "b\0"}, {"": "b"}, {"A=B": "c"}])
def test_an_environment_that_the_system_refuses_is_a_protocol_error(
    project: Project, env: dict[str, str]
) -> None:
    failure = refusal(project.open("os:getcwd", env=env))
    assert failure["code"] == "ERR_PROTOCOL"
    assert "params.env" in failure["message"]


@pytest.mark.parametrize(
    ("params", "part"),
    [
        ({"env": {"A": 1}}, "params.env"),
        ({"env": []}, "params.env"),
        ({"module_search_roots": "here"}, "params.module_search_roots"),
        ({"module_search_roots": [b"here"]}, "params.module_search_roots"),
    ],
)
def test_malformed_parameters_are_a_protocol_error(
    project: Project, params: dict[str, object], part: str
) -> None:
    failure = refusal(project.open("os:getcwd", **params))
    assert failure["code"] == "ERR_PROTOCOL"
    assert part in failure["message"]


# --- names that clash ---


def two_projects(tmp_path: Path) -> tuple[Project, Project]:
    return Project(tmp_path / "first"), Project(tmp_path / "second")


def test_a_second_project_with_the_same_module_name_is_refused_with_both_places(
    tmp_path: Path,
) -> None:
    first, second = two_projects(tmp_path)
    paths = [each.write("clash_a", SIMPLE) for each in (first, second)]
    assert first.open("clash_a:W")[0]
    failure = refusal(second.open("clash_a:W"))
    assert failure["code"] == "ERR_WORKLOAD_IMPORT"
    for path in paths:
        assert path in failure["message"]
    assert "rename one" in failure["message"]


def test_the_same_module_may_be_opened_again_also_through_a_link(tmp_path: Path) -> None:
    first, second = two_projects(tmp_path)
    first.write("clash_b", SIMPLE)
    second.root.symlink_to(first.root)
    assert first.open("clash_b:W")[0]
    assert first.open("clash_b:W")[0]
    assert second.open("clash_b:W")[0]


@pytest.mark.parametrize("init", [True, False], ids=["package", "namespace package"])
def test_a_module_inside_a_same_named_package_is_refused_too(tmp_path: Path, init: bool) -> None:
    package = f"clash_c{int(init)}"
    first, second = two_projects(tmp_path)
    for each in (first, second):
        if init:
            each.write(f"{package}.__init__", "")
        each.write(f"{package}.workload", SIMPLE)
    assert first.open(f"{package}.workload:W")[0]
    assert refusal(second.open(f"{package}.workload:W"))["code"] == "ERR_WORKLOAD_IMPORT"


def test_a_helper_module_of_the_same_name_is_refused_as_the_workload_may_import_it(
    tmp_path: Path,
) -> None:
    first, second = two_projects(tmp_path)
    for name, each in (("first", first), ("second", second)):
        each.write("clash_helper", f"NAME = '{name}'")
        each.write(f"clash_d_{name}", "import clash_helper\n" + SIMPLE)
    assert first.open("clash_d_first:W")[0]
    failure = refusal(second.open("clash_d_second:W"))
    assert failure["code"] == "ERR_WORKLOAD_IMPORT"
    assert "'clash_helper'" in failure["message"]


def test_a_file_named_like_a_loaded_library_is_refused_only_as_the_factory(
    project: Project,
) -> None:
    project.write("json", SIMPLE)
    project.write("clash_e", "import json\njson.dumps({})\n" + SIMPLE)
    assert refusal(project.open("json:W"))["code"] == "ERR_WORKLOAD_IMPORT"
    assert project.open("clash_e:W")[0]


def test_a_builtin_module_can_be_the_factory(project: Project) -> None:
    answered, opened = project.open("builtins:dict", [["workload", 1]])
    assert (answered, opened["workload_name"]) == (True, "dict")
    assert Caller(opened["session"]).ok("hello")["protocol_version"] == 1


def test_env_that_another_workload_was_given_otherwise_is_a_conflict(project: Project) -> None:
    project.write("loading_e", SIMPLE)
    assert project.open("loading_e:W", env={"LOADING_E": "1"})[0]
    assert project.open("loading_e:W", env={"LOADING_E": "1"})[0]
    failure = refusal(project.open("loading_e:W", env={"LOADING_F": "3", "LOADING_E": "2"}))
    assert failure["code"] == "ERR_RUNTIME_CONFLICT"
    assert "LOADING_E" in failure["message"]
    assert os.environ["LOADING_E"] == "1"
    assert "LOADING_F" not in os.environ


def test_env_that_python_read_at_its_start_is_a_conflict_unless_it_is_so_already(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write("loading_g", SIMPLE)
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    assert project.open("loading_g:W", env={"PYTHONHASHSEED": "7"})[0]
    monkeypatch.delenv("PYTHONUTF8", raising=False)
    failure = refusal(project.open("loading_g:W", env={"PYTHONUTF8": "1"}))
    assert failure["code"] == "ERR_RUNTIME_CONFLICT"
    assert "only when it starts" in failure["message"]
