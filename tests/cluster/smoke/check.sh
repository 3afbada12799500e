# What the smoke tests share; $bin and $dir are set.
export KUBECONFIG=$dir/kubeconfig
cluster() { "$bin/cluster" "$@"; }
passed=0 failed=0
check() { # check NAME COMMAND...: its output has to match $want, if that is set
  local name=$1 began=$EPOCHREALTIME out status=0
  shift
  out=$("$@" 2>&1) || status=$?
  [[ -z ${want-} || $out == *"$want"* ]] || status=99
  printf '%s %6d ms %s\n' "$([[ $status == 0 ]] && echo PASS || echo FAIL)" \
    "$(((${EPOCHREALTIME/./} - ${began/./}) / 1000))" "$name"
  if [[ $status == 0 ]]; then ((++passed)); else ((++failed)); sed 's/^/       /' <<<"$out"; fi
}
fails() { ! "$@"; }
# retry takes $want too, if there is one.
retry() {
  local out until=$((SECONDS + 90))
  while ((SECONDS < until)); do
    if out=$("$@" 2>&1) && [[ -z ${want-} || $out == *"$want"* ]]; then echo "$out"; return; fi
    sleep 0.2
  done
  echo "$out"
  return 1
}
verdict() { echo "$passed passed, $failed failed"; [[ $failed == 0 ]]; }
