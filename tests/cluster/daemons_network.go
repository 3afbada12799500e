package main

import (
	"context"
	"log"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"

	"cluster/network"
)

const (
	settleDelay = 20 * time.Millisecond // events come in bursts
	retryDelay  = time.Second
)

// watch calls act after the first list and after each change of what the
// informers see, and again when it failed. It does not return.
func watch(factory informers.SharedInformerFactory, act func() error, seen ...cache.SharedIndexInformer) error {
	changed := make(chan struct{}, 1)
	poke := func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	for _, informer := range seen {
		_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc: func(any) { poke() }, UpdateFunc: func(any, any) { poke() }, DeleteFunc: func(any) { poke() },
		})
		if err != nil {
			return err
		}
	}
	factory.Start(context.Background().Done())
	factory.WaitForCacheSync(context.Background().Done())
	poke()
	for range changed {
		time.Sleep(settleDelay)
		if err := act(); err != nil {
			log.Print(err)
			time.AfterFunc(retryDelay, poke)
		}
	}
	return nil
}

func connect(l layout, user string) (*kubernetes.Clientset, informers.SharedInformerFactory, error) {
	config, err := clientcmd.BuildConfigFromFlags("", l.user(user))
	if err != nil {
		return nil, nil, err
	}
	c, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, nil, err
	}
	return c, informers.NewSharedInformerFactory(c, 0), nil
}

// runLoadBalancer gives Services of the type LoadBalancer their addresses;
// kube-proxy does the rest.
func runLoadBalancer(l layout) error {
	c, factory, err := connect(l, "loadbalancer")
	if err != nil {
		return err
	}
	services := factory.Core().V1().Services()
	cidr := netip.MustParsePrefix(balancerCIDR)
	act := func() error {
		all, err := services.Lister().List(labels.Everything())
		if err != nil {
			return err
		}
		for i, ingress := range network.Ingress(all, cidr) {
			if ingress == nil || network.Same(all[i], ingress) {
				continue
			}
			next := all[i].DeepCopy()
			next.Status.LoadBalancer.Ingress = ingress
			_, err := c.CoreV1().Services(next.Namespace).UpdateStatus(context.Background(), next, metav1.UpdateOptions{})
			if err != nil {
				return err
			}
			log.Printf("%s/%s: %v", next.Namespace, next.Name, ingress)
		}
		return nil
	}
	return watch(factory, act, services.Informer())
}

// runPolicies keeps the nftables table of the NetworkPolicies.
func runPolicies(l layout) error {
	_, factory, err := connect(l, "policies")
	if err != nil {
		return err
	}
	pods, namespaces := factory.Core().V1().Pods(), factory.Core().V1().Namespaces()
	policies := factory.Networking().V1().NetworkPolicies()
	last := ""
	act := func() error {
		cluster := network.Cluster{Namespaces: map[string]map[string]string{}, Pods: []network.Pod{dnsServer()}}
		all, err := pods.Lister().List(labels.Everything())
		if err != nil {
			return err
		}
		for _, pod := range all {
			if onNetwork(pod) {
				cluster.Pods = append(cluster.Pods, seenPod(pod))
			}
		}
		spaces, err := namespaces.Lister().List(labels.Everything())
		if err != nil {
			return err
		}
		for _, namespace := range spaces {
			cluster.Namespaces[namespace.Name] = namespace.Labels
		}
		if cluster.Policies, err = policies.Lister().List(labels.Everything()); err != nil {
			return err
		}
		cluster.Sort()
		rules, err := cluster.Ruleset()
		if err != nil || rules == last {
			return err
		}
		nft := exec.Command("nft", "-f", "-")
		nft.Stdin = strings.NewReader(rules)
		if out, err := nft.CombinedOutput(); err != nil {
			log.Printf("%s\n%s", out, rules)
			return err
		}
		last = rules
		return nil
	}
	return watch(factory, act, pods.Informer(), namespaces.Informer(), policies.Informer())
}

// dnsServer is what policies take the node's DNS for: usually it is a pod.
func dnsServer() network.Pod {
	return network.Pod{Namespace: "kube-system", Labels: map[string]string{"k8s-app": "kube-dns"}, Address: nodeIP,
		Ports: []corev1.ContainerPort{{Name: "dns", ContainerPort: 53, Protocol: corev1.ProtocolUDP},
			{Name: "dns-tcp", ContainerPort: 53, Protocol: corev1.ProtocolTCP}}}
}

// onNetwork is false of a pod whose address may be another's by now.
func onNetwork(pod *corev1.Pod) bool {
	return pod.Status.PodIP != "" && !pod.Spec.HostNetwork &&
		pod.Status.Phase != corev1.PodSucceeded && pod.Status.Phase != corev1.PodFailed
}

func seenPod(pod *corev1.Pod) network.Pod {
	seen := network.Pod{Namespace: pod.Namespace, Labels: pod.Labels, Address: pod.Status.PodIP}
	for _, container := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		seen.Ports = append(seen.Ports, container.Ports...)
	}
	return seen
}
