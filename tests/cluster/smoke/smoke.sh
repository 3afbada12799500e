#!/bin/bash
# Proves a running cluster: smoke.sh BIN DIR
set -u
bin=$(realpath "$1") dir=$(realpath "$2")
cd "$(dirname "$0")"
. ./check.sh
k() { cluster kubectl -n smoke "$@"; }

cluster image --name localhost/hello:1 --file "$bin/hello:/hello" --out "$dir/hello.tar" /hello >/dev/null
check "load an image" cluster load --dir "$dir" "$dir/hello.tar"

k apply -f app.yaml >/dev/null
check "deployment ready" k rollout status deploy/hello --timeout=90s
check "client pod ready" k wait pod/client --for=condition=Ready --timeout=90s
want="version 1" check "service by name, from a pod" retry k exec client -- /hello get http://hello.smoke.svc.cluster.local
want="version 1" check "service by short name" k exec client -- /hello get http://hello
want="from-configmap" check "configmap, exec" k exec deploy/hello -c hello -- /hello cat /settings/greeting
want="from-secret" check "secret" k exec deploy/hello -c hello -- /hello cat /keys/key
want="eyJ" check "projected token" k exec deploy/hello -c hello -- /hello cat /token/token
want="true" check "native sidecar runs" k get pods -l app=hello -o jsonpath='{.items[0].status.initContainerStatuses[0].started}'
want="serving" check "logs" k logs deploy/hello -c hello
port_forward() {
  local port=$((20000 + RANDOM % 10000)) pid
  "$bin/cluster" kubectl -n smoke port-forward svc/hello $port:80 >/dev/null & pid=$!
  retry curl -sf http://127.0.0.1:$port/
  local status=$?
  kill $pid; wait $pid 2>/dev/null
  return $status
}
want="version 1" check "port-forward" port_forward
ip=$(k get svc hello -o jsonpath='{.spec.clusterIP}')
want="version 1" check "service, from 'cluster exec'" cluster exec --dir "$dir" curl -sf "http://$ip/"
want="version 1" check "service by name, from 'cluster exec'" cluster exec --dir "$dir" curl -sf http://hello.smoke.svc.cluster.local/

printf '$ORIGIN example.org.\n@ 60 IN SOA ns hostmaster 1 60 60 60 60\n@ 60 IN NS ns\n@ 60 IN MX 10 mail\n@ 60 IN TXT "v=spf1 -all"\nmail 60 IN A 192.0.2.25\n' >"$dir/ns1/db.example.org"
want="10 mail.example.org." check "MX of a made-up zone" retry k exec client -- /hello lookup MX example.org
want="v=spf1" check "TXT of a made-up zone" k exec client -- /hello lookup TXT example.org
want="no such host" check "NXDOMAIN for the rest" fails k exec client -- /hello lookup A nowhere.test

want="violates PodSecurity" check "pod security refuses root" fails k run root --image=localhost/hello:1 -- sleep

k set env deploy/hello -c hello VERSION=2 >/dev/null
check "rolling update" k rollout status deploy/hello --timeout=90s
want="version 2" check "service answers with the new version" retry k exec client -- /hello get http://hello
check "pod deletion" k delete pod -l app=hello --timeout=90s
check "pods come back" k rollout status deploy/hello --timeout=90s

k apply -f stateful.yaml >/dev/null
check "statefulset with volume claims" k rollout status sts/db --timeout=90s
want="hello from db-1" check "pod by its stable name" retry k exec client -- /hello get http://db-1.db:8080

k create ns chart >/dev/null
check "helm install --wait, with a CRD" cluster helm install smoke chart -n chart --wait --timeout 90s
widget() { printf 'apiVersion: smoke.example/v1\nkind: Widget\nmetadata: {name: w}\nspec: {low: %s, high: %s}\n' "$1" "$2" | k apply -f -; }
want="low must not exceed high" check "CEL rule of a CRD" fails widget 3 2
want="high is too high" check "validating admission policy" retry fails widget 3 200
check "valid object" widget 1 2
want="by-webhook" check "mutating webhook in a pod" k get widget w -o jsonpath='{.metadata.annotations.touched}'
want="low is immutable" check "CEL transition rule" fails widget 2 2
check "helm uninstall" cluster helm uninstall smoke -n chart --wait

if [[ -d /usr/lib/postgresql/15 ]]; then
  cluster image --name localhost/postgres:1 --libs --out "$dir/postgres.tar" \
    --file /usr/lib/postgresql/15 --file /usr/share/postgresql/15 --file /usr/share/postgresql-common \
    --file /usr/share/zoneinfo --file /bin/dash:/bin/sh --file postgres.passwd:/etc/passwd \
    /usr/lib/postgresql/15/bin/postgres
  check "load a PostgreSQL image" cluster load --dir "$dir" "$dir/postgres.tar"
  k apply -f postgres.yaml >/dev/null
  check "PostgreSQL pod ready" k wait pod/postgres --for=condition=Ready --timeout=90s
  want="PostgreSQL 15" check "PostgreSQL by its service" cluster exec --dir "$dir" \
    psql -h postgres.smoke.svc.cluster.local -U postgres -Atc 'select version()'
fi

check "namespace deletion" k delete ns smoke chart --timeout=90s
verdict
