#!/bin/sh
# Prints the folder with the programs of this module, built if need be, or with
# the word `addons` those of the module in that folder. They lie outside of the
# work tree, one folder for each state of the sources, so that a machine builds
# them once for all its checkouts.
set -eu
cd "$(dirname "$0")"
name=cluster what="Kubernetes" minutes=10 lock=lock
if [ "${1:-}" = addons ]; then
  cd addons
  name=addons what="cert-manager and external-dns" minutes=3 lock=lock-addons
fi
cache=${PAQUEBOT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/paquebot}
command -v go >/dev/null || { echo "cluster: install Go first (https://go.dev/doc/install)" >&2; exit 1; }
hash=$({
  go version
  LC_ALL=C ls -- *.go */*.go */*/*.go go.mod go.sum */go.mod build.sh 2>/dev/null | grep -v -e _test.go -e ^addons/ | xargs sha256sum
} | sha256sum | cut -c1-16)
built=$cache/$name-$hash
mkdir -p "$cache"
exec 9>"$cache/$lock"
flock 9 # another may be building the same
if [ ! -d "$built" ]; then
  echo "cluster: building $what into $built (about $minutes minutes on 2 cores the first time)" >&2
  half=$(mktemp -d "$cache/half-XXXXXX")
  trap 'rm -rf "$half"' EXIT
  trap 'exit 1' INT TERM HUP
  ./build.sh "$half" 9>&- >&2
  chmod 755 "$half"
  mv "$half" "$built"
fi
touch "$built"
# What no checkout has used for two weeks, and what a killed build left.
find "$cache" -mindepth 1 -maxdepth 1 \( -name 'cluster-*' -o -name 'addons-*' \) -mtime +14 -exec rm -rf {} +
find "$cache" -mindepth 1 -maxdepth 1 -name 'half-*' -mtime +1 -exec rm -rf {} +
echo "$built"
