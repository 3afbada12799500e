#!/bin/sh
# Builds the program of this module into DIR (default: ./bin), with the definitions of the kinds that it works on.
set -eu
cd "$(dirname "$0")"
out=${1:-bin}
export CGO_ENABLED=0 GOFLAGS="-trimpath -buildvcs=false"
go build -o "$out/" -ldflags "-s -w" .
mkdir -p "$out/crds"
of() { go list -m -f '{{.Dir}}' "$1"; }
install -m 644 "$(of github.com/cert-manager/cert-manager)"/deploy/crds/cert-manager.io_*.yaml \
  "$(of sigs.k8s.io/external-dns)"/config/crd/standard/dnsendpoints.externaldns.k8s.io.yaml "$out/crds/"
