"""Measuring this relay beside others, in one run, on the same cores, under the same load: `invoke bench`.

Absolute numbers belong to the machine and the minute they were taken on. What this tool is for are the ratios: the
contenders take turns within each round, and a ratio is formed within a round before the median over rounds is taken.

`plan` says what to measure, `outside` starts it in a network of its own and shows it, `inside` is what runs there:
`contenders` (the relays), `links` (sessions made through them), `generator` (the load), `parts` (what is measured).
The load generator and the reference relay are C programs in `c/`, compiled when they are needed.
"""

from toolkit.bench.outside import bench
from toolkit.bench.plan import Plan, quick

__all__ = ["Plan", "bench", "quick"]
