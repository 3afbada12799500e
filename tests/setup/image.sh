#!/usr/bin/env bash
# Makes the image of both programs, without a container engine: image.sh CLUSTER OUT release|dev
# CLUSTER is the folder of tests/cluster's programs. Prints the image's name; its tag is the content's.
#
# release: static, stripped, small. The same programs make the same bytes; paths of this machine are mapped away.
# dev: the programs of the last `cargo build`, with their libraries; for quick tries.
set -euo pipefail
cluster=$1 out=$2 profile=$3
cd "$(dirname "$0")/../.."
target=${CARGO_TARGET_DIR:-target}
bytes_max=$((40 * 1024 * 1024))
authorities=/etc/ssl/certs/ca-certificates.crt
[ -s "$authorities" ] || { echo "make image: install ca-certificates first" >&2; exit 1; }

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
case $profile in
release)
  host=$(rustc -vV | sed -n 's/^host: //p')
  flags=CARGO_TARGET_$(tr a-z- A-Z_ <<<"$host")_RUSTFLAGS
  # For this target only, so that build scripts and procedural macros are built as ever.
  env "$flags=-C target-feature=+crt-static --remap-path-prefix=$PWD=/paquebot \
    --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo" \
    "${CARGO:-cargo}" build --release --locked --workspace --bins --target "$host" >&2
  from=$target/$host/release options=(--gzip)
  ;;
dev) from=$target/debug options=(--libs) ;;
*) echo "make image: PROFILE is release or dev, not $profile" >&2; exit 1 ;;
esac
for program in paquebot paquebot-mta; do
  [ -x "$from/$program" ] || { echo "make image: $from/$program is not built: run \`cargo build --workspace\`" >&2; exit 1; }
  strip -o "$stage/$program" "$from/$program"
done
# A static program asks for no dynamic loader.
if [ "$profile" = release ] && readelf --program-headers "$stage"/paquebot* | grep -q INTERP; then
  echo "make image: a program is not static" >&2
  exit 1
fi
printf 'root:x:0:0:root:/:/nonexistent\nnonroot:x:65532:65532:nonroot:/:/nonexistent\n' >"$stage/passwd"
printf 'root:x:0:\nnonroot:x:65532:\n' >"$stage/group"
mkdir -p "$(dirname "$out")"
"$cluster/cluster" image --name localhost/paquebot --user 65532:65532 --out "$stage/image.tar" "${options[@]}" \
  --file "$stage/paquebot:/paquebot" --file "$stage/paquebot-mta:/paquebot-mta" \
  --file "$authorities:/etc/ssl/certs/ca-certificates.crt" \
  --file "$stage/passwd:/etc/passwd" --file "$stage/group:/etc/group" /paquebot
bytes=$(stat -c %s "$stage/image.tar")
if [ "$profile" = release ] && [ "$bytes" -gt "$bytes_max" ]; then
  echo "make image: $bytes bytes are more than $bytes_max" >&2
  exit 1
fi
echo "$out: $((bytes / 1024 / 1024)) MiB" >&2
mv "$stage/image.tar" "$out"
