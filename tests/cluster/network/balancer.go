// Package network decides what the node's network does: which address a load
// balancer has, and which packets the NetworkPolicies let pass. It touches nothing.
package network

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// Annotations of Services that the load balancer reads.
const (
	// HostnameAnnotation gives the Service this host name, and no address.
	HostnameAnnotation = "cluster.test/hostname"
	// PendingAnnotation leaves it without either, as long as it is set.
	PendingAnnotation = "cluster.test/pending"
)

// Ingress says for each Service (by place in the list) what its
// status.loadBalancer.ingress has to be: an address that it has it keeps. A
// Service of a load balancer's class is another's (nil: leave it alone).
func Ingress(services []*corev1.Service, cidr netip.Prefix) [][]corev1.LoadBalancerIngress {
	result := make([][]corev1.LoadBalancerIngress, len(services))
	taken := map[netip.Addr]bool{}
	for i, service := range services {
		switch {
		case service.Spec.LoadBalancerClass != nil:
			continue
		case wantsNothing(service):
			result[i] = []corev1.LoadBalancerIngress{}
		case service.Annotations[HostnameAnnotation] != "":
			result[i] = []corev1.LoadBalancerIngress{{Hostname: service.Annotations[HostnameAnnotation]}}
		default:
			result[i] = keep(service, taken, cidr)
		}
	}
	for i, service := range services {
		wants := service.Spec.LoadBalancerClass == nil && !wantsNothing(service)
		if wants && len(result[i]) == 0 {
			result[i] = give(taken, cidr)
		}
	}
	return result
}

func wantsNothing(service *corev1.Service) bool {
	return service.Spec.Type != corev1.ServiceTypeLoadBalancer || service.DeletionTimestamp != nil ||
		service.Annotations[PendingAnnotation] != ""
}

func keep(service *corev1.Service, taken map[netip.Addr]bool, cidr netip.Prefix) []corev1.LoadBalancerIngress {
	for _, has := range service.Status.LoadBalancer.Ingress {
		address, err := netip.ParseAddr(has.IP)
		if err == nil && cidr.Contains(address) && !taken[address] {
			return take(address, taken)
		}
	}
	return nil
}

func give(taken map[netip.Addr]bool, cidr netip.Prefix) []corev1.LoadBalancerIngress {
	for next := cidr.Masked().Addr().Next(); cidr.Contains(next); next = next.Next() {
		if !taken[next] {
			return take(next, taken)
		}
	}
	return []corev1.LoadBalancerIngress{}
}

func take(address netip.Addr, taken map[netip.Addr]bool) []corev1.LoadBalancerIngress {
	taken[address] = true
	mode := corev1.LoadBalancerIPModeVIP
	return []corev1.LoadBalancerIngress{{IP: address.String(), IPMode: &mode}}
}

// Same says whether a Service has this already.
func Same(service *corev1.Service, ingress []corev1.LoadBalancerIngress) bool {
	return slices.EqualFunc(service.Status.LoadBalancer.Ingress, ingress, func(a, b corev1.LoadBalancerIngress) bool {
		return a.IP == b.IP && a.Hostname == b.Hostname
	})
}
