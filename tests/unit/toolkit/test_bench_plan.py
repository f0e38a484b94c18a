"""What may be asked of the benchmark, and what is refused before anything is started."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from toolkit.bench import plan as plans
from toolkit.bench import tools
from toolkit.bench.plan import PARTS, Plan, check_before, check_configs, parse_parts, quick
from toolkit.errors import UserError


def test_without_only_every_part_is_measured() -> None:
    assert parse_parts([]) == PARTS


def test_parts_run_in_their_own_order_however_they_are_named() -> None:
    assert parse_parts(["stall", "load"]) == ("load", "stall")
    assert parse_parts(["ramp, bulk"]) == ("bulk", "ramp")


def test_a_part_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(UserError) as caught:
        parse_parts(["latency"])
    assert "load, bulk, ramp, stall" in caught.value.fix


@pytest.mark.parametrize("changes", [{"sessions": 0}, {"runs": -1}, {"seconds": 0.0}])
def test_nothing_cannot_be_measured(changes: dict[str, int]) -> None:
    with pytest.raises(UserError, match=next(iter(changes))):
        Plan(**changes)


def test_more_sessions_than_files_may_be_open_are_refused_with_how_many_may_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(plans, "most_sessions", lambda: 300)
    assert Plan(sessions=300).sessions == 300
    with pytest.raises(UserError) as caught:
        Plan(sessions=301)
    assert "--sessions 300" in caught.value.fix


def test_a_plan_survives_the_way_into_its_network() -> None:
    plan = Plan(sessions=3, parts=("bulk",), configs=("/a/one.toml", "/b/two.toml"))
    assert plans.from_json(json.loads(json.dumps(dataclasses.asdict(plan)))) == plan


def test_a_quick_plan_keeps_its_parts_and_does_little() -> None:
    plan = quick(Plan(sessions=250, parts=("load",), python="/usr/bin/python3"))
    assert (plan.parts, plan.python, plan.quick) == (("load",), "/usr/bin/python3", True)
    assert plan.runs == 1
    assert plan.sessions < 250


def test_one_configuration_is_the_relay_and_several_go_by_their_files() -> None:
    assert Plan().ours == ("netplay-relay",)
    assert Plan(configs=("/etc/one.toml",)).ours == ("netplay-relay",)
    assert Plan(configs=("/a/one.toml", "/b/two.toml")).ours == ("netplay-relay one", "netplay-relay two")


def test_a_configuration_the_relay_refuses_ends_with_the_relays_own_sentence(tmp_path: Path) -> None:
    path = tmp_path / "relay.toml"
    path.write_text("[limits]\nsessoins = 2\n", encoding="utf-8")
    with pytest.raises(UserError) as caught:
        check_configs([str(path)])
    assert f"{path}:2" in caught.value.message
    assert "sessions" in caught.value.fix


def test_two_configurations_that_would_have_one_name_are_refused(tmp_path: Path) -> None:
    paths = [tmp_path / name / "relay.toml" for name in ("a", "b")]
    for path in paths:
        path.parent.mkdir()
        path.write_text("", encoding="utf-8")
    with pytest.raises(UserError, match="same name"):
        check_configs([str(path) for path in paths])


def test_configurations_are_found_from_wherever_the_run_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.toml").write_text("", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert check_configs(["mine.toml"]) == (str(tmp_path / "mine.toml"),)


def test_a_checkout_to_compare_with_has_a_relay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="there is no relay"):
        check_before(str(tmp_path))
    (tmp_path / "relay").mkdir()
    (tmp_path / "relay" / "__main__.py").touch()
    monkeypatch.chdir(tmp_path)
    assert check_before(".") == str(tmp_path)
    assert check_before("") == ""


@pytest.mark.parametrize(
    ("need", "package"), [(tools.haproxy, "apt-get install --no-install-recommends haproxy"), (tools.compiler, "gcc")]
)
def test_what_is_missing_is_named_with_the_command_that_installs_it(
    need: object, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools.shutil, "which", lambda *_, **__: None)
    assert callable(need)
    with pytest.raises(UserError) as caught:
        need()
    assert package in caught.value.fix


def test_one_core_is_not_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools.os, "sched_getaffinity", lambda _: {3})
    with pytest.raises(UserError, match="two cores"):
        tools.cores()


def test_the_relay_and_the_load_get_a_core_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools.os, "sched_getaffinity", lambda _: {5, 2, 3})
    assert tools.cores() == (2, 3)


def test_what_is_not_python_cannot_run_the_relay(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"3\.11"):
        tools.python(str(tmp_path / "python3"))
