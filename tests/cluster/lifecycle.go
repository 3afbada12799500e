package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"cluster/image"
)

// up starts a cluster and waits until pods can run on it.
func up(l layout, port int, timeout, idle time.Duration) error {
	began := time.Now()
	step := func(what string) { fmt.Fprintf(os.Stderr, "%6.1fs %s\n", time.Since(began).Seconds(), what) }
	if l.pid() != 0 {
		step("already running")
		return bringUp(l, step, timeout) // the "up" that started it may have died
	}
	if err := checkMachine(); err != nil {
		return err
	}
	if err := down(l); err != nil { // what an earlier run left
		return err
	}
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return err
	}
	port = listener.Addr().(*net.TCPAddr).Port
	if err := l.writeConfig(port); err != nil {
		return err
	}
	if err := startNode(l, listener.(*net.TCPListener), port, idle); err != nil {
		return err
	}
	step("started")
	if err := bringUp(l, step, timeout); err != nil {
		return fmt.Errorf("%w; see %s", err, l.path("log"))
	}
	return nil
}

// checkMachine says what the machine lacks, before anything is started.
func checkMachine() error {
	if os.Geteuid() != 0 {
		return errors.New("only root can start a cluster")
	}
	for program, debian := range map[string]string{"containerd": "containerd", "ctr": "containerd",
		"runc": "runc", "nft": "nftables", "ip": "iproute2", cniPlugins + "/ptp": "containernetworking-plugins"} {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("%w (in Debian's package %s)", err, debian)
		}
	}
	return nil
}

// bringUp can be repeated.
func bringUp(l layout, step func(string), timeout time.Duration) error {
	if err := poll(l, timeout, func() bool { return apiReady(l) }); err != nil {
		return fmt.Errorf("API server: %w", err)
	}
	step("API server ready")
	if err := applyManifest(l); err != nil {
		return err
	}
	if err := loadPause(l, timeout); err != nil {
		return err
	}
	step("pause image loaded")
	if err := waitNode(l, timeout); err != nil {
		return err
	}
	step("node ready")
	return nil
}

// startNode starts runNode in namespaces of its own.
func startNode(l layout, listener *net.TCPListener, port int, idle time.Duration) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(provisionerDir, 0o755); err != nil { // a place to mount on
		return err
	}
	output, err := os.Create(l.log("node"))
	if err != nil {
		return err
	}
	defer output.Close()
	socket, err := listener.File()
	if err != nil {
		return err
	}
	defer socket.Close()
	cmd := exec.Command(self, "node", "--dir", string(l), "--port", strconv.Itoa(port), "--idle", idle.String())
	cmd.Stdout, cmd.Stderr, cmd.Dir = output, output, "/"
	cmd.ExtraFiles = []*os.File{socket}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setsid: true,
		Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWNET |
			syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC,
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	if err := os.WriteFile(l.portFile(), []byte(strconv.Itoa(port)), 0o644); err != nil {
		return err
	}
	return os.WriteFile(l.pidFile(), []byte(strconv.Itoa(cmd.Process.Pid)), 0o644)
}

// pid is the node's first process, 0 if it is not running.
func (l layout) pid() int {
	text, _ := os.ReadFile(l.pidFile())
	pid, _ := strconv.Atoi(string(text))
	if pid == 0 {
		return 0
	}
	// The number may by now be another process's.
	args, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if !strings.Contains(string(args), "\x00node\x00--dir\x00"+string(l)+"\x00") {
		return 0
	}
	return pid
}

// down ends all processes of the cluster and removes what they left. It can
// be called at any time, also after a crash.
func down(l layout) error {
	if pid := l.pid(); pid != 0 {
		// All of its PID namespace dies with it, and then the mounts and the
		// network of the namespaces that nobody is in any more.
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && err != syscall.ESRCH {
			return err
		}
		if !within(30*time.Second, func() bool { return ended(pid) }) {
			return fmt.Errorf("process %d does not end", pid)
		}
	}
	if !within(30*time.Second, func() bool { return removeCgroups(l.cgroup()) }) {
		return errors.New("cgroups are still in use")
	}
	for _, dir := range l.stateDirs() {
		// The mounts and writes of what was just killed may still be ending.
		var err error
		if !within(10*time.Second, func() bool { err = os.RemoveAll(dir); return err == nil }) {
			return err
		}
	}
	return nil
}

// ended is true of a zombie too: it becomes one only after its whole PID
// namespace has ended, and its parent may never ask for it.
func ended(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(stat), ") Z ")
}

func within(limit time.Duration, done func() bool) bool {
	for end := time.Now().Add(limit); !done(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

// poll waits for done, but not for a node that has ended.
func poll(l layout, limit time.Duration, done func() bool) error {
	ended := false
	if !within(limit, func() bool { ended = l.pid() == 0; return ended || done() }) {
		return fmt.Errorf("not ready after %s", limit)
	}
	if ended {
		return errors.New("the node has ended")
	}
	return nil
}

func client(l layout) (*kubernetes.Clientset, error) {
	config, err := clientcmd.BuildConfigFromFlags("", l.kubeconfig())
	if err != nil {
		return nil, err
	}
	config.Timeout = 5 * time.Second
	return kubernetes.NewForConfig(config)
}

func apiReady(l layout) bool {
	c, err := client(l)
	if err != nil {
		return false
	}
	_, err = c.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(context.Background())
	return err == nil
}

// waitNode waits for the node, and for the service account that pods need.
func waitNode(l layout, limit time.Duration) error {
	c, err := client(l)
	if err != nil {
		return err
	}
	err = poll(l, limit, func() bool {
		ctx := context.Background()
		if _, err := c.CoreV1().ServiceAccounts("default").Get(ctx, "default", metav1.GetOptions{}); err != nil {
			return false
		}
		node, err := c.CoreV1().Nodes().Get(ctx, nodeName, metav1.GetOptions{})
		if err != nil {
			return false
		}
		for _, condition := range node.Status.Conditions {
			if condition.Type == corev1.NodeReady {
				return condition.Status == corev1.ConditionTrue && len(node.Spec.Taints) == 0
			}
		}
		return false
	})
	if err != nil {
		return fmt.Errorf("node: %w", err)
	}
	return nil
}

func applyManifest(l layout) error {
	cmd := exec.Command("/proc/self/exe", "kubectl", "--kubeconfig", l.kubeconfig(), "apply", "-f", "-")
	cmd.Stdin = strings.NewReader(manifest)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// loadPause makes the pods' first image from the program beside this one.
func loadPause(l layout, limit time.Duration) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	archive := l.etc("pause.tar")
	pause := image.Image{Name: pauseImage, User: "65535:65535", Entrypoint: []string{"/pause"},
		Files: []string{filepath.Join(filepath.Dir(self), "pause") + ":/pause"}}
	if _, err := pause.Write(archive); err != nil {
		return err
	}
	return poll(l, limit, func() bool { return load(l, archive) == nil })
}

// load imports an archive into the node's container runtime.
func load(l layout, archive string) error {
	socket := fmt.Sprintf("/proc/%d/root%s", l.pid(), containerdSocket)
	out, err := exec.Command("ctr", "--address", socket, "--namespace", "k8s.io",
		"images", "import", archive).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", archive, err, out)
	}
	return nil
}
