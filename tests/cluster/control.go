package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// controlTimeout is how long a component may take to end, or to come back.
const controlTimeout = time.Minute

// stop kills components, which stay down until start. Pods run on.
func stop(l layout, names []string) error {
	return control(l, names, func(name string) error {
		if err := os.WriteFile(l.stoppedFile(name), nil, 0o644); err != nil {
			return err
		}
		return poll(l, controlTimeout, func() bool { return !exists(l.runningFile(name)) })
	})
}

// start returns when they run again, and the API server answers if it can.
func start(l layout, names []string) error {
	err := control(l, names, func(name string) error {
		if err := os.Remove(l.stoppedFile(name)); err != nil && !os.IsNotExist(err) {
			return err
		}
		return poll(l, controlTimeout, func() bool { return exists(l.runningFile(name)) })
	})
	if err != nil || exists(l.stoppedFile("etcd")) || exists(l.stoppedFile("kube-apiserver")) {
		return err
	}
	return poll(l, controlTimeout, func() bool { return apiReady(l) })
}

func control(l layout, names []string, act func(string) error) error {
	var known []string
	for _, c := range slices.Concat(l.firstDaemons(0), l.nameDaemons(), l.otherDaemons()) {
		known = append(known, c.name)
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return fmt.Errorf("there is no %q; there are %s", name, strings.Join(known, ", "))
		}
		if err := act(name); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}
