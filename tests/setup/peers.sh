#!/usr/bin/env bash
# Installs the real peers that the tests talk to, and what a Kubernetes node is made of, where one is missing.
# Starts none of them.
set -euo pipefail

declare -A package_of=(
  [swaks]=swaks
  [curl]=curl
  [gsasl]=gsasl
  [openssl]=openssl
  [named-checkzone]=bind9-utils
  [named]=bind9
  [pdns_server]=pdns-server
  [smtp-sink]=postfix
  [containerd]=containerd
  [runc]=runc
  [nft]=nftables
  [ip]=iproute2
)
missing=()
for command in "${!package_of[@]}"; do
  PATH="$PATH:/usr/sbin:/sbin" command -v "$command" >/dev/null || missing+=("${package_of[$command]}")
done
/usr/bin/python3 -c 'import dkim, nacl, dns' 2>/dev/null || missing+=(python3-dkim python3-nacl python3-dnspython)
compgen -G '/usr/lib/*/pdns/liblmdbbackend.so' >/dev/null || missing+=(pdns-backend-lmdb)
[ -x /usr/lib/cni/ptp ] || missing+=(containernetworking-plugins)
# swaks speaks TLS by it.
perl -MNet::SSLeay -e 1 2>/dev/null || missing+=(libnet-ssleay-perl)
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" != 0 ]; then
  command -v sudo >/dev/null || { echo "install these first: ${missing[*]}" >&2; exit 1; }
  as_root=(sudo)
fi
"${as_root[@]}" apt-get update -q
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
  apt-get install -q -y --no-install-recommends "${missing[@]}"
