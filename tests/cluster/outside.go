package main

import (
	"fmt"
	"net"
	"os/exec"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// clientNetns is the network namespace of a machine outside the cluster, as
// mounted in the node's own /run.
const clientNetns = "/run/netns/client"

// linkClient makes a machine outside of the cluster: its own network
// namespace, routed to the node, so that its address is seen by what it talks to.
func linkClient() error {
	commands := []string{
		"netns add client",
		"link add client0 type veth peer name eth0 netns client",
		"addr add " + outsideGateway + "/24 dev client0",
		"link set client0 up",
		"-n client link set lo up",
		"-n client link set eth0 up",
	}
	for _, address := range clientIPs {
		commands = append(commands, "-n client addr add "+address+"/24 dev eth0")
	}
	commands = append(commands, "-n client route add default via "+outsideGateway)
	for _, command := range commands {
		if out, err := exec.Command("ip", strings.Fields(command)...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %s: %w: %s", command, err, out)
		}
	}
	return nil
}

// addressNode gives lo the node's addresses and those of its name servers, the
// route by which the node itself reaches Services, and all addresses of load
// balancers: what kube-proxy has no rule for is refused there.
func addressNode(lo netlink.Link) error {
	node := net.ParseIP(nodeIP)
	for _, address := range append([]string{nodeIP}, nameServers...) {
		if err := netlink.AddrAdd(lo, &netlink.Addr{IPNet: netlink.NewIPNet(net.ParseIP(address))}); err != nil {
			return fmt.Errorf("%s: %w", address, err)
		}
	}
	_, services, _ := net.ParseCIDR(serviceCIDR)
	if err := netlink.RouteAdd(&netlink.Route{LinkIndex: lo.Attrs().Index, Dst: services, Src: node}); err != nil {
		return fmt.Errorf("%s: %w", serviceCIDR, err)
	}
	_, balancers, _ := net.ParseCIDR(balancerCIDR)
	return netlink.RouteAdd(&netlink.Route{LinkIndex: lo.Attrs().Index, Dst: balancers, Src: node,
		Type: unix.RTN_LOCAL, Table: unix.RT_TABLE_LOCAL, Scope: netlink.SCOPE_HOST})
}
