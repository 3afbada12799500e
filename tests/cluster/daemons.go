package main

import "fmt"

// command is one long-running part of the cluster: a sub-command of this
// program with its arguments, or another program with its.
type command struct {
	name     string
	args     []string
	external bool
}

// storage and runtime come first; the API server needs the one, and the rest
// needs the API server.
func (l layout) firstDaemons(port int) []command {
	return []command{
		{name: "etcd", args: []string{"etcd",
			"--data-dir=" + l.path("etcd"),
			"--listen-client-urls=http://127.0.0.1:2379",
			"--advertise-client-urls=http://127.0.0.1:2379",
			"--listen-peer-urls=http://127.0.0.1:2380",
			"--unsafe-no-fsync",
			"--log-level=warn",
		}},
		{name: "kube-apiserver", args: []string{"kube-apiserver",
			"--etcd-servers=http://127.0.0.1:2379",
			fmt.Sprintf("--secure-port=%d", port),
			"--advertise-address=" + nodeIP,
			"--service-cluster-ip-range=" + serviceCIDR,
			"--authorization-mode=Node,RBAC",
			"--enable-admission-plugins=NodeRestriction",
			"--allow-privileged=true",
			"--audit-policy-file=" + l.etc("audit.yaml"),
			"--audit-log-path=" + l.auditLog(),
			"--client-ca-file=" + l.pki("ca.crt"),
			"--tls-cert-file=" + l.pki("apiserver.crt"),
			"--tls-private-key-file=" + l.pki("apiserver.key"),
			"--cert-dir=" + l.path("pki"),
			"--kubelet-certificate-authority=" + l.pki("ca.crt"),
			"--kubelet-client-certificate=" + l.pki("kubelet-client.crt"),
			"--kubelet-client-key=" + l.pki("kubelet-client.key"),
			"--kubelet-preferred-address-types=InternalIP",
			"--service-account-issuer=https://kubernetes.default.svc." + domain,
			"--service-account-key-file=" + l.pki("service-account.key"),
			"--service-account-signing-key-file=" + l.pki("service-account.key"),
		}},
		{name: "containerd", external: true, args: []string{"containerd", "--config=" + l.etc("containerd.toml")}},
	}
}

func (l layout) otherDaemons() []command {
	return []command{
		{name: "kubelet", args: []string{"kubelet",
			"--config=" + l.etc("kubelet.yaml"),
			"--kubeconfig=" + l.user("kubelet"),
			"--root-dir=" + l.path("kubelet"),
			"--hostname-override=" + nodeName,
			"--node-ip=" + nodeIP,
		}},
		{name: "kube-controller-manager", args: []string{"kube-controller-manager",
			"--kubeconfig=" + l.user("controller-manager"),
			"--authentication-kubeconfig=" + l.user("controller-manager"),
			"--authorization-kubeconfig=" + l.user("controller-manager"),
			"--bind-address=127.0.0.1",
			"--cert-dir=" + l.path("pki", "controller-manager"),
			"--leader-elect=false",
			"--use-service-account-credentials",
			"--service-account-private-key-file=" + l.pki("service-account.key"),
			"--root-ca-file=" + l.pki("ca.crt"),
			"--cluster-signing-cert-file=" + l.pki("ca.crt"),
			"--cluster-signing-key-file=" + l.pki("ca.key"),
			"--enable-hostpath-provisioner",
			"--kube-api-qps=200", "--kube-api-burst=400",
		}},
		{name: "kube-scheduler", args: []string{"kube-scheduler",
			"--kubeconfig=" + l.user("scheduler"),
			"--authentication-kubeconfig=" + l.user("scheduler"),
			"--authorization-kubeconfig=" + l.user("scheduler"),
			"--bind-address=127.0.0.1",
			"--cert-dir=" + l.path("pki", "scheduler"),
			"--leader-elect=false",
			"--kube-api-qps=200", "--kube-api-burst=400",
		}},
		{name: "kube-proxy", args: []string{"kube-proxy",
			"--kubeconfig=" + l.user("proxy"),
			"--hostname-override=" + nodeName,
			"--proxy-mode=nftables",
			"--cluster-cidr=" + podCIDR,
			// Not this namespace's to set.
			"--conntrack-max-per-core=0", "--conntrack-min=0",
			"--conntrack-tcp-timeout-established=0", "--conntrack-tcp-timeout-close-wait=0",
		}},
		{name: "coredns", args: []string{"coredns", "-conf=" + l.etc("Corefile")}},
		{name: "loadbalancer", args: []string{"loadbalancer", "--dir=" + string(l)}},
		{name: "policies", args: []string{"policies", "--dir=" + string(l)}},
	}
}

// nameDaemons are the three name servers, each a process of its own.
func (l layout) nameDaemons() (all []command) {
	for ns := range nameServers {
		name := fmt.Sprintf("ns%d", ns+1)
		all = append(all, command{name: name, args: []string{"coredns", "-conf=" + l.etc("Corefile-"+name)}})
	}
	return all
}

// manifest is applied once the API server answers.
const manifest = `apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata:
  name: standard
  annotations: {storageclass.kubernetes.io/is-default-class: "true"}
provisioner: kubernetes.io/host-path
`
