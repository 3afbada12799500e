#!/bin/sh
# Ends what the tests started, and removes it: ended.sh PROGRAMS TARGET
# Of a node that another run of the tests still uses it says so, and leaves it.
set -eu
for folder in "$2"/cluster-tests "$2"/cluster-own-*; do
  [ -e "$folder/lease" ] || continue
  if flock --nonblock --exclusive "$folder/lease" "$1/cluster" down --dir "$folder"; then
    case $folder in */cluster-own-*) rm -rf "$folder" ;; esac
  else
    echo "$folder is still in use" >&2
  fi
done
