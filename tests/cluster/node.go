package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// runNode is the first process of the cluster's own PID, mount and network
// namespaces; its end is the end of everything in them. File 3 is a socket
// that listens on the host's loopback.
func runNode(l layout, port int, idle time.Duration) error {
	// "up" may have been killed before it could write this down.
	if self, err := os.Readlink("/proc/self"); err == nil { // still the host's /proc
		if err := os.WriteFile(l.pidFile(), []byte(self), 0o644); err != nil {
			return err
		}
	}
	listener, err := net.FileListener(os.NewFile(3, "listener"))
	if err != nil {
		return err
	}
	if err := mountNode(l); err != nil {
		return fmt.Errorf("mounts: %w", err)
	}
	if err := makeCgroups(l.cgroup()); err != nil {
		return fmt.Errorf("cgroups: %w", err)
	}
	if err := linkNode(); err != nil {
		return fmt.Errorf("network: %w", err)
	}
	go forward(listener, fmt.Sprintf("127.0.0.1:%d", port))
	if err := openVolumes(); err != nil {
		return fmt.Errorf("volumes: %w", err)
	}

	s, err := newSupervisor(l)
	if err != nil {
		return err
	}
	if idle > 0 {
		go func() { log.Fatal(s.endWhenIdle(idle)) }()
	}
	s.add(l.firstDaemons(port))
	go func() {
		for !apiReady(l) {
			time.Sleep(50 * time.Millisecond)
		}
		s.add(slices.Concat(l.otherDaemons(), l.nameDaemons()))
	}()
	s.reap()
	return nil
}

// mountNode makes the mount namespace private, with a /proc and /run of its own.
func mountNode(l layout) error {
	if err := unix.Sethostname([]byte(nodeName)); err != nil {
		return err
	}
	// The kubelet sets these for the whole machine unless they already read
	// as it wants them: let it read files that do.
	tunables := map[string]string{
		"vm/overcommit_memory": "1", "vm/panic_on_oom": "0",
		"kernel/panic": "10", "kernel/panic_on_oops": "1",
		"kernel/keys/root_maxkeys": "1000000", "kernel/keys/root_maxbytes": "25000000",
	}
	steps := []struct {
		source, target, kind string
		flags                uintptr
	}{
		{"none", "/", "", unix.MS_REC | unix.MS_PRIVATE},
		{"proc", "/proc", "proc", 0},
		{"tmpfs", "/run", "tmpfs", 0},
		{l.path("volumes"), provisionerDir, "", unix.MS_BIND},
	}
	for name, value := range tunables {
		file := l.etc(strings.ReplaceAll(name, "/", "-"))
		if err := os.WriteFile(file, []byte(value+"\n"), 0o644); err != nil {
			return err
		}
		steps = append(steps, struct {
			source, target, kind string
			flags                uintptr
		}{file, "/proc/sys/" + name, "", unix.MS_BIND})
	}
	for _, s := range steps {
		if err := unix.Mount(s.source, s.target, s.kind, s.flags, ""); err != nil {
			return fmt.Errorf("%s: %w", s.target, err)
		}
	}
	return unix.Mount("none", "/", "", unix.MS_REC|unix.MS_SHARED, "")
}

// linkNode gives the network namespace its addresses, and a neighbour.
func linkNode() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return err
	}
	if err := addressNode(lo); err != nil {
		return err
	}
	if err := linkClient(); err != nil {
		return err
	}
	return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644)
}

// forward passes connections from the host to the API server.
func forward(listener net.Listener, address string) {
	for {
		client, err := listener.Accept()
		if err != nil {
			log.Print(err)
			return
		}
		go func() {
			defer client.Close()
			server, err := net.Dial("tcp", address)
			if err != nil {
				return
			}
			defer server.Close()
			done := make(chan struct{}, 2)
			pipe := func(to, from net.Conn) {
				io.Copy(to, from)
				to.(*net.TCPConn).CloseWrite()
				done <- struct{}{}
			}
			go pipe(server, client)
			go pipe(client, server)
			<-done
			<-done
		}()
	}
}

// openVolumes lets every user write to provisioned volumes: the provisioner of
// kube-controller-manager makes them for root alone.
func openVolumes() error {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return err
	}
	go func() {
		for event := range watcher.Events {
			if event.Has(fsnotify.Create) {
				os.Chmod(event.Name, 0o777)
			}
		}
	}()
	return watcher.Add(provisionerDir)
}
