package main

import (
	"crypto/sha256"
	"fmt"
	"path/filepath"
)

// Addresses inside the cluster's own network namespace. They never meet the
// host's, so every cluster on a machine uses the same ones.
const (
	nodeName    = "node"
	nodeIP      = "10.99.0.1" // also the cluster's DNS server
	podCIDR     = "10.244.0.0/16"
	serviceCIDR = "10.96.0.0/16"
	apiIP       = "10.96.0.1" // first address of serviceCIDR
	domain      = "cluster.local"

	balancerCIDR   = "198.51.100.0/24" // of load balancers
	outsideGateway = "203.0.113.1"     // the node, as seen from the client outside

	cniPlugins       = "/usr/lib/cni"
	pauseImage       = "localhost/pause:1"
	containerdSocket = "/run/containerd/containerd.sock" // /run is the cluster's own
	provisionerDir   = "/tmp/hostpath_pv"                // as kube-controller-manager has it
)

// nameServers are ns1.test to ns3.test. They are the node's too, but nothing
// else of it answers there.
var nameServers = []string{"10.99.1.1", "10.99.1.2", "10.99.1.3"}

// clientIPs are addresses of the machine outside the cluster; it uses the first.
var clientIPs = []string{"203.0.113.10", "203.0.113.11", "203.0.113.12"}

// layout names the files of one cluster, all below one directory.
type layout string

func (l layout) path(parts ...string) string {
	return filepath.Join(append([]string{string(l)}, parts...)...)
}

func (l layout) pki(name string) string { return l.path("pki", name) }
func (l layout) etc(name string) string { return l.path("etc", name) }
func (l layout) log(name string) string { return l.path("log", name+".log") }
func (l layout) kubeconfig() string     { return l.path("kubeconfig") }
func (l layout) portFile() string       { return l.path("port") }
func (l layout) pidFile() string        { return l.path("node.pid") }
func (l layout) lease() string          { return l.path("lease") }
func (l layout) zones(ns int) string    { return l.path(fmt.Sprintf("ns%d", ns+1)) }
func (l layout) auditLog() string       { return l.path("log", "audit.log") }

// A component runs if its running file is there, and is not started again
// while its stopped file is there.
func (l layout) runningFile(name string) string { return l.path("running", name) }
func (l layout) stoppedFile(name string) string { return l.path("stopped", name) }
func (l layout) user(name string) string        { return l.etc(name + ".kubeconfig") }

// stateDirs are removed by "down"; log, lease and what others put in the
// directory stay.
func (l layout) stateDirs() []string {
	dirs := []string{l.path("pki"), l.path("etc"), l.path("etcd"), l.path("containerd"),
		l.path("kubelet"), l.path("pods"), l.path("volumes"), l.path("cni"), l.path("running"), l.path("stopped"),
		l.auditLog(), l.kubeconfig(), l.portFile(), l.pidFile()}
	for ns := range nameServers {
		dirs = append(dirs, l.zones(ns))
	}
	return dirs
}

// cgroup is the parent, in every hierarchy, of all cgroups of the pods.
func (l layout) cgroup() string {
	return fmt.Sprintf("cluster-%x", sha256.Sum256([]byte(l)))[:16]
}
