package network

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Pod is what policies ask of a pod.
type Pod struct {
	Namespace string
	Labels    map[string]string
	Address   string
	Ports     []corev1.ContainerPort
}

// Cluster is what policies are read against: namespaces by name, with their labels.
type Cluster struct {
	Policies   []*networkingv1.NetworkPolicy
	Pods       []Pod
	Namespaces map[string]map[string]string
}

// Ruleset is an nftables program that replaces the table "policies" by these
// policies. A pod that a policy selects takes (or sends) only what one of its
// policies allows; all else is refused with an ICMP message, which a client
// sees at once. Connections that exist pass, and so does all that the node
// itself sends, the kubelet's probes among it: that never comes by here.
func (c Cluster) Ruleset() (string, error) {
	var chains, from, to strings.Builder
	for _, pod := range c.Pods {
		for _, d := range []direction{
			{networkingv1.PolicyTypeIngress, "ip saddr", &to},
			{networkingv1.PolicyTypeEgress, "ip daddr", &from},
		} {
			rules, isolated, err := c.rules(pod, d)
			if err != nil {
				return "", err
			}
			if !isolated {
				continue
			}
			name := strings.ToLower(string(d.kind)) + "_" + strings.ReplaceAll(pod.Address, ".", "_")
			fmt.Fprintf(d.jumps, "%s : jump %s, ", pod.Address, name)
			fmt.Fprintf(&chains, "  chain %s {\n", name)
			for _, rule := range rules {
				fmt.Fprintf(&chains, "    %s\n", strings.TrimSpace(rule+" return"))
			}
			chains.WriteString("    reject with icmp type admin-prohibited\n  }\n")
		}
	}
	var check strings.Builder
	for _, side := range [][2]string{{"ip saddr", from.String()}, {"ip daddr", to.String()}} {
		if side[1] != "" {
			fmt.Fprintf(&check, "    %s vmap { %s }\n", side[0], strings.TrimSuffix(side[1], ", "))
		}
	}
	text := "add table ip policies\ndelete table ip policies\ntable ip policies {\n" + chains.String() +
		"  chain check {\n" + check.String() + "  }\n"
	for _, hook := range []string{"forward", "input"} {
		text += fmt.Sprintf("  chain %s {\n    type filter hook %s priority 0; policy accept;\n"+
			"    ct state established,related accept\n    jump check\n  }\n", hook, hook)
	}
	return text + "}\n", nil
}

// Sort makes the same cluster have the same ruleset.
func (c Cluster) Sort() {
	slices.SortFunc(c.Pods, func(a, b Pod) int { return strings.Compare(a.Address, b.Address) })
	slices.SortFunc(c.Policies, func(a, b *networkingv1.NetworkPolicy) int {
		return strings.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name)
	})
}

// direction is one way of a pod's traffic, seen from the pod.
type direction struct {
	kind  networkingv1.PolicyType
	peer  string // nftables' name of the other side's address
	jumps *strings.Builder
}

// rules gives the matches of what may pass, and whether any policy selects the pod at all.
func (c Cluster) rules(pod Pod, d direction) (rules []string, isolated bool, err error) {
	for _, policy := range c.Policies {
		selected, err := selects(&policy.Spec.PodSelector, pod.Labels)
		if err != nil {
			return nil, false, err
		}
		if policy.Namespace != pod.Namespace || !selected || !slices.Contains(policy.Spec.PolicyTypes, d.kind) {
			continue
		}
		isolated = true
		for _, allowed := range allowances(policy, d.kind) {
			more, err := c.allow(policy.Namespace, pod, allowed, d)
			if err != nil {
				return nil, false, err
			}
			rules = append(rules, more...)
		}
	}
	return rules, isolated, nil
}

// allowance is a rule of either direction: no peers are all peers, no ports all ports.
type allowance struct {
	peers []networkingv1.NetworkPolicyPeer
	ports []networkingv1.NetworkPolicyPort
}

func allowances(policy *networkingv1.NetworkPolicy, kind networkingv1.PolicyType) (all []allowance) {
	if kind == networkingv1.PolicyTypeIngress {
		for _, rule := range policy.Spec.Ingress {
			all = append(all, allowance{rule.From, rule.Ports})
		}
		return all
	}
	for _, rule := range policy.Spec.Egress {
		all = append(all, allowance{rule.To, rule.Ports})
	}
	return all
}

// other is the other side of a connection: a match, and the pod if it is one.
type other struct {
	match string
	pod   *Pod
}

func (c Cluster) allow(namespace string, self Pod, allowed allowance, d direction) ([]string, error) {
	others, err := c.others(namespace, allowed.peers, d.peer)
	if err != nil {
		return nil, err
	}
	var rules []string
	if len(allowed.ports) == 0 {
		for _, other := range others {
			rules = append(rules, other.match)
		}
	}
	for _, port := range allowed.ports {
		sides := others
		outward := d.kind == networkingv1.PolicyTypeEgress
		if outward && len(allowed.peers) == 0 && port.Port != nil && port.Port.Type == intstr.String {
			// Any pod that has a port of this name.
			everywhere := []networkingv1.NetworkPolicyPeer{{NamespaceSelector: &metav1.LabelSelector{}}}
			if sides, err = c.others(namespace, everywhere, d.peer); err != nil {
				return nil, err
			}
		}
		for _, other := range sides {
			server := &self // whose ports the names are
			if outward {
				server = other.pod
			}
			if match, ok := portMatch(port, server); ok {
				rules = append(rules, strings.TrimSpace(other.match+" "+match))
			}
		}
	}
	return rules, nil
}

func (c Cluster) others(namespace string, peers []networkingv1.NetworkPolicyPeer, side string) ([]other, error) {
	if len(peers) == 0 {
		return []other{{}}, nil
	}
	var found []other
	for _, peer := range peers {
		if block := peer.IPBlock; block != nil {
			match := side + " " + block.CIDR
			if len(block.Except) > 0 {
				match += " " + side + " != { " + strings.Join(block.Except, ", ") + " }"
			}
			found = append(found, other{match: match})
			continue
		}
		for i, pod := range c.Pods {
			is, err := c.isPeer(namespace, peer, pod)
			if err != nil {
				return nil, err
			}
			if is {
				found = append(found, other{side + " " + pod.Address, &c.Pods[i]})
			}
		}
	}
	return found, nil
}

func (c Cluster) isPeer(namespace string, peer networkingv1.NetworkPolicyPeer, pod Pod) (bool, error) {
	if peer.NamespaceSelector == nil && pod.Namespace != namespace {
		return false, nil
	}
	if peer.NamespaceSelector != nil {
		if ok, err := selects(peer.NamespaceSelector, c.Namespaces[pod.Namespace]); !ok || err != nil {
			return false, err
		}
	}
	if peer.PodSelector == nil {
		return true, nil
	}
	return selects(peer.PodSelector, pod.Labels)
}

func selects(selector *metav1.LabelSelector, set map[string]string) (bool, error) {
	compiled, err := metav1.LabelSelectorAsSelector(selector)
	return err == nil && compiled.Matches(labels.Set(set)), err
}

// portMatch is false of a name that the server's pod does not have.
func portMatch(port networkingv1.NetworkPolicyPort, server *Pod) (string, bool) {
	protocol := corev1.ProtocolTCP
	if port.Protocol != nil {
		protocol = *port.Protocol
	}
	name := strings.ToLower(string(protocol))
	switch {
	case port.Port == nil:
		return "meta l4proto " + name, true
	case port.Port.Type == intstr.Int && port.EndPort != nil:
		return fmt.Sprintf("%s dport %d-%d", name, port.Port.IntVal, *port.EndPort), true
	case port.Port.Type == intstr.Int:
		return fmt.Sprintf("%s dport %d", name, port.Port.IntVal), true
	case server != nil:
		for _, has := range server.Ports {
			if has.Name == port.Port.StrVal && (has.Protocol == protocol || has.Protocol == "") {
				return fmt.Sprintf("%s dport %d", name, has.ContainerPort), true
			}
		}
	}
	return "", false
}
