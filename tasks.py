"""What one can do here: `invoke --list`. Each task's work is in toolkit/, tested and importable; this only composes."""

from __future__ import annotations

import sys

from invoke.collection import Collection

from toolkit import console, words
from toolkit.tasks import bench, friends, lab, play, testbed, xbps
from toolkit.tasks.deploy import deploy
from toolkit.tasks.doctor import doctor
from toolkit.tasks.join import join
from toolkit.tasks.lock import lock
from toolkit.tasks.remove import remove
from toolkit.tasks.rollback import rollback
from toolkit.tasks.status import status
from toolkit.tasks.test import run_tests
from toolkit.tasks.watch import watch

ns = Collection(
    deploy,
    doctor,
    join,
    lock,
    remove,
    rollback,
    run_tests,
    status,
    watch,
    bench=bench.ns,
    friends=friends.ns,
    lab=lab.ns,
    play=play.ns,
    testbed=testbed.ns,
    xbps=xbps.ns,
)

console.forgive()
words.refuse(ns, sys.argv)
