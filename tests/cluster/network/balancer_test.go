package network

import (
	"net/netip"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func service(kind corev1.ServiceType, has string, annotations ...string) *corev1.Service {
	s := &corev1.Service{Spec: corev1.ServiceSpec{Type: kind}}
	if has != "" {
		s.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: has}}
	}
	s.Annotations = map[string]string{}
	for i := 0; i+1 < len(annotations); i += 2 {
		s.Annotations[annotations[i]] = annotations[i+1]
	}
	return s
}

func TestIngress(t *testing.T) {
	const lb = corev1.ServiceTypeLoadBalancer
	class := service(lb, "203.0.113.1")
	class.Spec.LoadBalancerClass = new(string)
	services := []*corev1.Service{
		service(lb, ""),
		service(lb, "192.0.2.1"),
		service(lb, "192.0.2.1"),  // the first of two keeps it
		service(lb, "198.18.0.1"), // from elsewhere
		service(corev1.ServiceTypeClusterIP, "192.0.2.2"),
		service(lb, "192.0.2.3", PendingAnnotation, "true"),
		service(lb, "192.0.2.3", HostnameAnnotation, "mail.example"),
		class,
		service(lb, ""),
	}
	var got []string
	for _, ingress := range Ingress(services, netip.MustParsePrefix("192.0.2.0/29")) {
		switch {
		case ingress == nil:
			got = append(got, "another's")
		case len(ingress) == 0:
			got = append(got, "none")
		default:
			got = append(got, ingress[0].IP+ingress[0].Hostname)
		}
	}
	want := "192.0.2.2 192.0.2.1 192.0.2.3 192.0.2.4 none none mail.example another's 192.0.2.5"
	if strings.Join(got, " ") != want {
		t.Errorf("%v, not %s", got, want)
	}
}

func TestNoAddressIsLeft(t *testing.T) {
	const lb = corev1.ServiceTypeLoadBalancer
	all := Ingress([]*corev1.Service{service(lb, ""), service(lb, "")}, netip.MustParsePrefix("192.0.2.0/31"))
	if len(all[0]) != 1 || all[1] == nil || len(all[1]) != 0 {
		t.Errorf("%v", all)
	}
}
