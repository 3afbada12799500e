package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// writeConfig makes all certificates, credentials and configuration files.
func (l layout) writeConfig(port int) error {
	for _, dir := range []string{"pki", "etc", "etc/net.d", "log", "etcd", "containerd", "kubelet", "pods", "volumes",
		"cni", "running", "stopped"} {
		if err := os.MkdirAll(l.path(dir), 0o755); err != nil {
			return err
		}
	}
	ca, err := newAuthority(l.path("pki"))
	if err != nil {
		return err
	}
	if _, err := writeKey(l.pki("service-account.key")); err != nil {
		return err
	}
	server := fmt.Sprintf("https://127.0.0.1:%d", port)
	for _, err := range []error{
		ca.issue("apiserver", "kube-apiserver", nil, "127.0.0.1", "localhost", nodeIP, apiIP,
			"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc."+domain),
		ca.issue("kubelet", nodeName, nil, nodeName, nodeIP),
		ca.issue("kubelet-client", "kube-apiserver", []string{"system:masters"}),
		ca.kubeconfig(l.kubeconfig(), server, "admin", "system:masters"),
		ca.kubeconfig(l.user("controller-manager"), server, "system:kube-controller-manager"),
		ca.kubeconfig(l.user("scheduler"), server, "system:kube-scheduler"),
		ca.kubeconfig(l.user("proxy"), server, "system:kube-proxy"),
		ca.kubeconfig(l.user("kubelet"), server, "system:node:"+nodeName, "system:nodes"),
		ca.kubeconfig(l.user("loadbalancer"), server, "cluster:loadbalancer", "system:masters"),
		ca.kubeconfig(l.user("policies"), server, "cluster:policies", "system:masters"),
		l.writeZones(),
	} {
		if err != nil {
			return err
		}
	}

	fill := strings.NewReplacer(
		"$DIR", string(l), "$CGROUP", "/"+l.cgroup(), "$DNS", nodeIP, "$DOMAIN", domain,
		"$SERVERS", strings.Join(nameServers, " "),
		"$PODS", podCIDR, "$PAUSE", pauseImage, "$PLUGINS", cniPlugins, "$SOCKET", containerdSocket)
	for name, text := range configFiles {
		if err := os.WriteFile(l.etc(name), []byte(fill.Replace(text)), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// writeZones gives each name server its configuration and its first zone:
// test., with the servers' own addresses. A server reads DIR/nsN/db.ZONE again
// every second, and refuses what it has no zone for.
func (l layout) writeZones() error {
	zone := "@ 1 IN SOA ns1 hostmaster 1 1 1 1 1\n"
	for ns, address := range nameServers {
		zone += fmt.Sprintf("@ 1 IN NS ns%d\nns%d 1 IN A %s\n", ns+1, ns+1, address)
	}
	for ns, address := range nameServers {
		corefile := fmt.Sprintf(".:53 {\n  bind %s\n  errors\n  auto . {\n    directory %s ^db\\.(.+)$ {1}\n    reload 1s\n  }\n}\n", address, l.zones(ns))
		if err := os.MkdirAll(l.zones(ns), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(l.zones(ns), "db.test"), []byte(zone), 0o644); err != nil {
			return err
		}
		if err := os.WriteFile(l.etc(fmt.Sprintf("Corefile-ns%d", ns+1)), []byte(corefile), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// configFiles are written to DIR/etc.
var configFiles = map[string]string{
	"resolv.conf": "nameserver $DNS\nsearch svc.$DOMAIN\noptions ndots:5\n",

	// Names in cluster.local, then what the three name servers say.
	"Corefile": `.:53 {
    bind $DNS
    errors
    kubernetes $DOMAIN in-addr.arpa {
        kubeconfig $DIR/kubeconfig cluster
        pods insecure
        ttl 1
        fallthrough in-addr.arpa
    }
    resolve $SERVERS
}
`,

	// Who asked for what, but not the reads of Kubernetes' own parts, the
	// leases by which they say that they live, and questions about no object.
	"audit.yaml": `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: None
  nonResourceURLs: ["*"]
- level: None
  userGroups: ["system:nodes", "system:serviceaccounts:kube-system"]
  verbs: [get, list, watch]
- level: None
  users: ["system:kube-controller-manager", "system:kube-scheduler", "system:kube-proxy", "system:apiserver",
    "cluster:loadbalancer", "cluster:policies"]
  verbs: [get, list, watch]
- level: None
  userGroups: ["system:nodes"]
  resources: [{group: coordination.k8s.io, resources: [leases]}]
- level: None
  users: ["system:apiserver"]
- level: Metadata
`,

	// Every pod hangs on a point-to-point link of its own: without a bridge
	// there is no need for br_netfilter to make Services work.
	filepath.Join("net.d", "10-pods.conflist"): `{
  "cniVersion": "0.4.0",
  "name": "pods",
  "plugins": [{
    "type": "ptp",
    "ipam": {
      "type": "host-local",
      "dataDir": "$DIR/cni",
      "ranges": [[{"subnet": "$PODS"}]],
      "routes": [{"dst": "0.0.0.0/0"}]
    }
  }]
}
`,

	// restrict_oom_score_adj: without CAP_SYS_RESOURCE nobody may lower it.
	"containerd.toml": `version = 2
root = "$DIR/containerd"
state = "/run/containerd"
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing",
]
[grpc]
  address = "$SOCKET"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "$PAUSE"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "$PLUGINS"
    conf_dir = "$DIR/etc/net.d"
`,

	"kubelet.yaml": `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: true}
  x509: {clientCAFile: $DIR/pki/ca.crt}
authorization: {mode: Webhook}
tlsCertFile: $DIR/pki/kubelet.crt
tlsPrivateKeyFile: $DIR/pki/kubelet.key
containerRuntimeEndpoint: unix://$SOCKET
cgroupDriver: cgroupfs
cgroupRoot: $CGROUP
failCgroupV1: false
failSwapOn: false
oomScoreAdj: 0
makeIPTablesUtilChains: false
clusterDNS: [$DNS]
clusterDomain: $DOMAIN
resolvConf: $DIR/etc/resolv.conf
podLogsDir: $DIR/pods
volumePluginDir: $DIR/kubelet/plugins-exec
# Deletions and restarts are what tests wait for.
serializeImagePulls: false
registryPullQPS: 0
eventRecordQPS: 0
kubeAPIQPS: 200
kubeAPIBurst: 400
nodeStatusUpdateFrequency: 5s
configMapAndSecretChangeDetectionStrategy: Watch
syncFrequency: 10s
crashLoopBackOff: {maxContainerRestartPeriod: 5s}
featureGates: {KubeletCrashLoopBackOffMax: true}
# The images cannot be pulled again, so never collect them; nor evict pods.
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
evictionHard:
  memory.available: "0%"
  nodefs.available: "0%"
  nodefs.inodesFree: "0%"
  imagefs.available: "0%"
  imagefs.inodesFree: "0%"
`,
}
