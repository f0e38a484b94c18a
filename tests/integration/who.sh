#!/bin/sh
# What Ansible takes to a host in tests, to be run there.
echo "I am $(id -un)"
