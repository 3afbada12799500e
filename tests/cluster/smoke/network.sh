#!/bin/bash
# Proves what lies around the pods of a running cluster: network.sh BIN DIR
# Load balancers, the client outside, NetworkPolicies, name servers, the audit
# log, components stopped and started.
set -u
bin=$(realpath "$1") dir=$(realpath "$2")
cd "$(dirname "$0")"
. ./check.sh
k() { cluster kubectl -n network "$@"; }

cluster image --name localhost/hello:1 --file "$bin/hello:/hello" --out "$dir/hello.tar" /hello >/dev/null
want="localhost/hello:1" check "load an image, its name printed" cluster load --dir "$dir" "$dir/hello.tar"
k apply -f network.yaml >/dev/null
check "pods ready" k wait pod --all --for=condition=Ready --timeout=90s

address() { k get svc "$1" -o jsonpath='{.status.loadBalancer.ingress[0].ip}'; }
want="198.51.100." check "a load balancer's address" retry address local
lb=$(address local)
outside() { cluster exec --dir "$dir" --as client "$@"; }
want="from 203.0.113.10" check "the client outside, its address seen" retry outside "$bin/hello" get "http://$lb/"
want="from 10.244.0.1" check "with the policy Cluster it is the node's" retry outside "$bin/hello" get "http://$(address balanced)/"
want="refused" check "a port that the load balancer has not" fails outside "$bin/hello" get "http://$lb:81/"
want="from 10." check "the load balancer, from the node" cluster exec --dir "$dir" "$bin/hello" get "http://$lb/"
want="from 10." check "the load balancer, from a pod" k exec friend -- /hello get "http://$lb/"
want="mail.example.test" check "a host name instead" retry k get svc hostname -o jsonpath='{.status.loadBalancer.ingress[0].hostname}'
want="pending={}" check "pending" k get svc pending -o jsonpath='pending={.status.loadBalancer}'
k annotate svc pending cluster.test/pending- >/dev/null
has_address() { [[ -n $(address pending) ]]; }
check "no longer pending" retry has_address

pod() { k get pod "$1" -o jsonpath='{.status.podIP}'; }
server=$(pod server)
get() { k exec "$1" -- /hello get "http://$2:${3:-8080}/"; }
want="from $(pod friend)" check "no policy: all pass" get friend "$server"
k apply -f policies.yaml >/dev/null
check "ingress: denied, and refused at once" retry fails get stranger "$server"
check "ingress: the allowed one passes" get friend "$server"
check "ingress: an allowed block passes" outside "$bin/hello" get "http://$lb/"
check "the node passes, and so do probes" cluster exec --dir "$dir" "$bin/hello" get "http://$server:8080/"
check "egress: the allowed service by its name" retry get egress server 80
check "egress: another address is refused" fails get egress "$(pod friend)"
check "egress: a name server is refused" fails k exec egress -- /hello get http://10.99.1.1:53/
check "egress: none at all" fails get isolated "$server"
check "still ready" k wait pod --all --for=condition=Ready --timeout=10s
k label pod stranger --overwrite role=friend >/dev/null
check "a label of a pod changes" retry get stranger "$server"
k delete networkpolicy --all >/dev/null
check "policies deleted" retry get isolated "$server"

zone() { echo "@ MX 10 $1" | cluster zone --dir "$dir" "${@:2}" example.org; }
lookup() { k exec friend -- /hello lookup MX example.org; }
zone first && zone second --ns 2
want="10 first.example.org." check "a zone, through the resolver" lookup
check "a zone is changed" zone third --ns 1
want="10 third.example.org." check "and answered at once" lookup
cluster stop --dir "$dir" ns1
want="10 second.example.org." check "one name server of three is down" lookup
cluster start --dir "$dir" ns1
want="10 third.example.org." check "and up again" retry lookup
want="ns2 does not serve" check "a zone that cannot be read" fails zone "not a number of names ?" --ns 2
check "a zone is removed" cluster zone --dir "$dir" --remove example.org
want="no such host" check "and is no more" fails lookup
want="no such host" check "no such zone" fails k exec friend -- /hello lookup A nowhere.example
want="10.99.1.3" check "the name servers' own addresses" outside "$bin/hello" lookup A ns3.test

ids() { k get pods -o jsonpath='{range .items[*]}{.status.containerStatuses[0].containerID}{.status.containerStatuses[0].restartCount}{"\n"}{end}'; }
before=$(ids)
check "stop etcd, API server, kubelet, containerd" cluster stop --dir "$dir" etcd kube-apiserver kubelet containerd
check "the API server is gone" fails k get pods --request-timeout=2s
want="version" check "pods serve on" outside "$bin/hello" get "http://$lb/"
check "start them" cluster start --dir "$dir" etcd kube-apiserver kubelet containerd
check "exec works again" retry get friend "$server"
same() { [[ $(ids) == "$before" ]]; }
check "no pod was restarted" same
want="there is no" check "a component that is not" fails cluster stop --dir "$dir" nothing

audited() { grep -c '"verb":"create","user":{"username":"admin".*"resource":"configmaps".*"name":"audited"' "$dir/log/audit.log"; }
k create configmap audited --from-literal=secret=do-not-log >/dev/null
want="1" check "the audit log" audited
check "holds no content" fails grep -q do-not-log "$dir/log/audit.log"

check "namespace deletion" k delete ns network --timeout=90s
verdict
