"""What the doctor's bundle leaves of addresses and names, whatever stands around them."""

from __future__ import annotations

import ipaddress
import re

from hypothesis import assume, example, given
from hypothesis import strategies as st

from toolkit.doctor import blur

V4 = st.ip_addresses(v=4).filter(lambda address: not address.is_loopback and int(address) > 0)
V6 = st.ip_addresses(v=6).filter(lambda address: int(address) > 1)
FORMS = st.sampled_from(
    [
        "{0}", "[{0}]", "[{0}]:55435", "{0}:55435", "{0}|55435", "{0}/32", "{0}%eth0", "address={0},", "({0})", "'{0}'",
        "::ffff:{0}", "x{0}y", "{0}{0}", "{0}::", "1:{0}", "{0}.", "http://{0}/x", "{0}-{0}", "0{0}", "{0}0", ":{0}:",
    ]
)  # fmt: skip
SPELLINGS = st.sampled_from([str, lambda a: str(a).upper(), lambda a: a.exploded, lambda a: a.exploded.upper()])
NOISE = st.text(st.sampled_from("abf0123456789:.%/[] |-\n\té"), max_size=12)


def hidden_part(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> int:
    """Return what tells a person apart: the bits behind the network that may be shown."""
    return int(address) & (2**8 - 1 if address.version == 4 else 2**80 - 1)


def shown_in(text: str) -> set[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    """Return every address that can be read anywhere in a text, by the standard library and not by our patterns."""
    found = set()
    for run in re.findall(r"[0-9A-Fa-f:.]+", text):
        for start in range(len(run)):
            for end in range(start + 2, min(len(run), start + 45) + 1):
                try:
                    found.add(ipaddress.ip_address(run[start:end]))
                except ValueError:
                    continue
    return found


@given(V4, FORMS, NOISE, NOISE)
def test_no_whole_ipv4_address_survives(address: ipaddress.IPv4Address, form: str, before: str, after: str) -> None:
    assume(hidden_part(address) > 9)  # what is shorter can be read out of the numbers around it
    told = blur.addresses(before + " " + form.format(address) + " " + after)
    assert address not in shown_in(told)


@given(V6, SPELLINGS, FORMS, NOISE, NOISE)
@example(ipaddress.IPv6Address("2001:db8:1:2:3:4:5:6"), str, "{0}", "a:", ":b")
@example(ipaddress.IPv6Address("2001:db8::1"), str, "{0}:55435", "", "")
def test_no_whole_ipv6_address_survives(
    address: ipaddress.IPv6Address, spelling: object, form: str, before: str, after: str
) -> None:
    assume(hidden_part(address) > 2**24)  # else there is no more in it than a word of the noise could be
    assert callable(spelling)
    told = blur.addresses(before + " " + form.format(spelling(address)) + " " + after)
    assert address not in shown_in(told)


@given(st.lists(st.text(st.sampled_from("abcXYZ-_'.\\ é"), min_size=3, max_size=10), min_size=1, max_size=4), NOISE)
def test_no_name_survives_as_a_word(names: list[str], noise: str) -> None:
    words = blur.numbered("friend", names)
    told = blur.scrub(f"{noise} {' '.join(f'<{name}>' for name in names)} {noise}", words)
    for name in names:
        assert f"<{name}>" not in told
