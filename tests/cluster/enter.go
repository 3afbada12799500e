package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// enter replaces this process by a command that runs in the cluster's network,
// where pods and Services can be reached, with the cluster's DNS; everything
// else stays the host's.
func enter(l layout, as string, args []string) error {
	pid := l.pid()
	if pid == 0 {
		return errors.New("the cluster is not running")
	}
	if len(args) == 0 {
		return errors.New("no command given")
	}
	program, err := exec.LookPath(args[0])
	if err != nil {
		return err
	}
	resolver, err := filepath.EvalSymlinks("/etc/resolv.conf")
	if err != nil {
		return err
	}
	place, ok := map[string]string{"node": "ns/net", "client": "root" + clientNetns}[as]
	if !ok {
		return fmt.Errorf("--as %q: it is node, or client", as)
	}
	network, err := os.Open(fmt.Sprintf("/proc/%d/%s", pid, place))
	if err != nil {
		return err
	}
	defer network.Close()
	runtime.LockOSThread() // namespaces are a thread's, and exec keeps this one's
	for _, err := range []error{
		unix.Setns(int(network.Fd()), unix.CLONE_NEWNET),
		unix.Unshare(unix.CLONE_NEWNS),
		unix.Mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
		unix.Mount(l.etc("resolv.conf"), resolver, "", unix.MS_BIND, ""),
		os.Setenv("KUBECONFIG", l.kubeconfig()),
	} {
		if err != nil {
			return err
		}
	}
	return syscall.Exec(program, args, os.Environ())
}
