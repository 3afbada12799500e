package main

import (
	"log"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"
)

// restartDelay keeps a daemon that ends at once from taking the processor.
const restartDelay = time.Second

// supervisor keeps the daemons running, but those that DIR/stopped names, and
// reaps every orphan, as the first process of a PID namespace has to.
type supervisor struct {
	layout  layout
	mu      sync.Mutex
	wanted  []command
	running map[string]int // name to process
	ended   map[string]time.Time
	ending  bool
}

func newSupervisor(l layout) (*supervisor, error) {
	s := &supervisor{layout: l, running: map[string]int{}, ended: map[string]time.Time{}}
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	go func() {
		for range watcher.Events {
			s.settle()
		}
	}()
	return s, watcher.Add(l.path("stopped"))
}

func (s *supervisor) add(commands []command) {
	s.mu.Lock()
	s.wanted = append(s.wanted, commands...)
	s.mu.Unlock()
	s.settle()
}

// settle starts what should run and does not, and kills what should not.
func (s *supervisor) settle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.wanted {
		pid, runs := s.running[c.name]
		switch stopped := exists(s.layout.stoppedFile(c.name)); {
		case s.ending || stopped && !runs:
		case stopped:
			syscall.Kill(pid, syscall.SIGKILL)
		case !runs && time.Since(s.ended[c.name]) >= restartDelay:
			s.start(c)
		}
	}
}

func (s *supervisor) start(c command) {
	output, err := os.OpenFile(s.layout.log(c.name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		log.Fatal(err)
	}
	defer output.Close()
	path := os.Args[0]
	if c.external {
		path = c.args[0]
		c.args = c.args[1:]
	}
	cmd := exec.Command(path, c.args...)
	cmd.Stdout, cmd.Stderr, cmd.Dir = output, output, "/"
	cmd.Env = append(os.Environ(), "HOME="+s.layout.path("etc"), "TMPDIR=/run")
	if err := cmd.Start(); err != nil {
		log.Fatal(err)
	}
	log.Printf("started %s", c.name)
	s.running[c.name] = cmd.Process.Pid
	if err := os.WriteFile(s.layout.runningFile(c.name), []byte(strconv.Itoa(cmd.Process.Pid)), 0o644); err != nil {
		log.Print(err)
	}
}

func (s *supervisor) reap() {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		if err != nil {
			time.Sleep(100 * time.Millisecond)
			continue
		}
		s.reaped(pid, status)
	}
}

func (s *supervisor) reaped(pid int, status syscall.WaitStatus) {
	s.mu.Lock()
	for name, its := range s.running {
		if its != pid {
			continue
		}
		log.Printf("%s ended with status %d, signal %d", name, status.ExitStatus(), status.Signal())
		delete(s.running, name)
		os.Remove(s.layout.runningFile(name))
		if !exists(s.layout.stoppedFile(name)) {
			s.ended[name] = time.Now()
			time.AfterFunc(restartDelay, s.settle)
		}
	}
	s.mu.Unlock()
	s.settle()
}

// endWhenIdle ends the cluster once nobody has held a lock on DIR/lease for so
// long. The lock that proves it is kept to the end: who wants the cluster
// waits for it, and then finds it gone.
func (s *supervisor) endWhenIdle(idle time.Duration) error {
	lease, err := os.OpenFile(s.layout.lease(), os.O_CREATE|os.O_RDWR, 0o666)
	if err != nil {
		return err
	}
	last := time.Now()
	for {
		time.Sleep(time.Second)
		if syscall.Flock(int(lease.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
			last = time.Now()
			continue
		}
		if time.Since(last) >= idle {
			break
		}
		syscall.Flock(int(lease.Fd()), syscall.LOCK_UN)
	}
	log.Printf("nobody has used the cluster for %s: it ends", idle)
	s.mu.Lock()
	s.ending = true
	s.mu.Unlock()
	syscall.Kill(-1, syscall.SIGKILL) // all of the PID namespace but this process
	within(10*time.Second, func() bool { return removeCgroups(s.layout.cgroup()) })
	os.Exit(0)
	return nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
