"""Versions: the order that xbps sees, and which of them a template must not carry."""

from __future__ import annotations

import re

import pytest
from packaging.version import Version

from toolkit.errors import UserError
from toolkit.xbps import versions


@pytest.mark.parametrize(
    ("less", "greater"),
    [
        ("0.0.20211110", "0.1.0"),
        ("0.0.20211110", "0.0.20211111"),
        ("1.2.3", "1.2.3.20211110"),
        ("1.2.3.20211110", "1.2.4"),
        ("1.2.3+20211110", "1.2.4"),
        ("1.0rc1", "1.0"),
        ("1.0alpha1", "1.0beta1"),
        ("1.0beta2", "1.0rc1"),
        ("1.9", "1.10"),
        ("1.0", "1.0a"),
        ("1.0_1", "1.0_2"),
        ("1.0_9", "1.1_1"),
        # Why a template refuses these: the next release would never arrive.
        ("1.0", "20211110"),
        ("1.0.1", "1.0.20211110"),
        ("1.0", "1.0.dev1"),
    ],
)
def test_versions_are_ordered_as_xbps_orders_them(less: str, greater: str) -> None:
    assert versions.compare(less, greater) == -1
    assert versions.compare(greater, less) == 1


@pytest.mark.parametrize(("one", "other"), [("1.0", "1.0.0"), ("1.0", "1.0"), ("1.0pl0", "1.0"), ("1.0_1", "1.0.0_1")])
def test_some_versions_are_one_and_the_same_to_xbps(one: str, other: str) -> None:
    assert versions.compare(one, other) == 0


@pytest.mark.parametrize(
    "version",
    [
        *("1.2.3", "0.1.0", "1.0rc1", "1.2.3.20261103", "1.2.3+20261103", "0.0.20261103"),
        # A wheel writes these another way, and xbps-src takes whatever wheel was built.
        *("1.2beta1", "1.2alpha1", "1.2.3beta12", "1.2rc", "1.2beta", "1.02", "1.0rc01"),
    ],
)
def test_a_release_a_prerelease_and_a_snapshot_may_be_carried(version: str) -> None:
    assert versions.check(version) == version
    Version(version)  # the wheel can have it


@pytest.mark.parametrize(
    ("project", "xbps"),
    [
        ("1.2b1", "1.2beta1"),
        ("1.2a3", "1.2alpha3"),
        ("1.2rc1", "1.2rc1"),
        ("1.2c1", "1.2rc1"),
        ("1.2beta1", "1.2beta1"),
        ("1.2.0-alpha.4", "1.2.0alpha4"),
        ("v1.2.b", "1.2beta0"),
        ("1.2.3", "1.2.3"),
        ("1.02", "1.02"),
        ("1.2.dev1", "1.2.dev1"),
        ("1.2b1.dev2", "1.2b1.dev2"),
        ("1.2.post1", "1.2.post1"),
        ("no version", "no version"),
    ],
)
def test_a_projects_prerelease_is_written_so_that_xbps_sorts_it_below_the_release(project: str, xbps: str) -> None:
    assert versions.of_project(project) == xbps
    if release := re.fullmatch(r"([\d.]+)(alpha|beta|rc)\d+", xbps):
        assert versions.compare(xbps, release[1]) == -1


@pytest.mark.parametrize(
    ("version", "reason"),
    [
        ("20211110", "bare date"),
        ("1.0.20211110", "greater than 1.0.1"),
        ("1.0-2", "contains '-'"),
        ("1:1.0", "contains ':'"),
        ("1.0_2", "contains '_'"),
        ("1.0.dev1", "no .dev"),
        ("1.0.post1", "no .dev and no .post"),
        ("v1.0", "not of the form"),
        ("1", "not of the form"),
        ("1.0 ", "not of the form"),
        ("1.0\n", "not of the form"),
        ("$(id)", "not of the form"),
        ("", "empty"),
        ("1.2b1", "not of the form"),
        ("1.2.3rc1.20261103", "Python's packaging has no such version"),
    ],
)
def test_other_versions_are_refused_with_the_reason(version: str, reason: str) -> None:
    with pytest.raises(UserError) as refused:
        versions.check(version)
    assert reason in refused.value.message
    assert "--version 1.2.3" in refused.value.fix


@pytest.mark.parametrize("date", ["20210230", "2021110", "211110", "20211301", "2021-11-10", "", "2021111x"])
def test_what_is_no_day_is_refused(date: str) -> None:
    with pytest.raises(UserError, match="is not the date of a commit"):
        versions.check_date(date)


@pytest.mark.parametrize(("after", "next_one"), [("1.0", "1.0.1"), ("1.2.3", "1.2.4"), ("1.2.3.4", "1.2.3.5")])
def test_a_snapshot_lies_between_a_release_and_the_next(after: str, next_one: str) -> None:
    between = versions.check(versions.snapshot("20261103", after))
    assert (versions.compare(after, between), versions.compare(between, next_one)) == (-1, -1)


@pytest.mark.parametrize("after", ["1.0rc1", "1.2.3.20261103", "1.0-1", "v1.0", "1", "$(id)"])
def test_a_snapshot_comes_after_no_version_that_is_no_release(after: str) -> None:
    with pytest.raises(UserError, match="is not a release that a snapshot can come after"):
        versions.snapshot("20261104", after)


def test_a_snapshot_is_below_every_release_that_follows_it() -> None:
    assert versions.compare(versions.snapshot("20261103"), "0.1.0") == -1
    assert versions.compare(versions.snapshot("20261103", "0.1.0"), "0.1.1") == -1
    assert versions.compare(versions.snapshot("20261103", "0.1.0"), "0.1.0") == 1
