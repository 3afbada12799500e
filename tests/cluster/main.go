// Command cluster runs a complete Kubernetes cluster of one node on a Linux
// machine that has neither Docker nor an image registry. See README.md.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"cluster/image"
)

const usage = `usage:
  cluster up    --dir DIR [--port N] [--timeout 3m] [--idle 2m]
                                         start, and wait until the node is ready; with --idle it ends
                                         once nobody has held a lock on DIR/lease (flock) for so long
  cluster down  --dir DIR                end it and remove all its state
  cluster load  --dir DIR ARCHIVE...     import images into the node, print their names
  cluster exec  --dir DIR [--as client] COMMAND [ARG...]
                                         run a command in the cluster's network, or in that of a
                                         machine outside
  cluster stop|start --dir DIR COMPONENT...
                                         kill components, which stay down; start them again
  cluster zone  --dir DIR [--ns N]... [--remove] ORIGIN
                                         publish a zone at the name servers 1, 2 and 3: records come
                                         from standard input, SOA and NS are added
  cluster image --name NAME --out ARCHIVE [--user UID] [--libs] [--gzip] [--env K=V]...
                --file SOURCE:TARGET... PROGRAM [ARG...]
                                         make an image from files of this machine, print its name
  cluster kubectl|helm ARG...            the usual clients; they read $KUBECONFIG
Up writes DIR/kubeconfig, which is good on the host and under "exec" alike.
`

type list []string

func (l *list) String() string         { return strings.Join(*l, " ") }
func (l *list) Set(value string) error { *l = append(*l, value); return nil }

func main() {
	if len(os.Args) < 2 {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	switch os.Args[1] {
	case "help", "-h", "-help", "--help":
		fmt.Print(usage)
		return
	}
	// Debian's daemons lie in /usr/sbin.
	os.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/sbin")
	if run, ok := components[os.Args[1]]; ok {
		os.Args = os.Args[1:]
		run()
		return
	}
	if err := run(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintf(os.Stderr, "cluster %s: %v\n", os.Args[1], err)
		os.Exit(1)
	}
}

func run(name string, args []string) error {
	flags := flag.NewFlagSet(name, flag.ExitOnError)
	flags.Usage = func() { fmt.Fprint(os.Stderr, usage) }
	if name == "image" {
		return makeImage(flags, args)
	}
	dir := flags.String("dir", "", "")
	port := flags.Int("port", 0, "")
	timeout := flags.Duration("timeout", 3*time.Minute, "")
	idle := flags.Duration("idle", 0, "")
	as := flags.String("as", "node", "")
	remove := flags.Bool("remove", false, "")
	var servers list
	flags.Var(&servers, "ns", "")
	flags.Parse(args)
	if *dir == "" {
		return errors.New("--dir is needed")
	}
	absolute, err := filepath.Abs(*dir)
	if err != nil {
		return err
	}
	l := layout(absolute)
	switch name {
	case "up":
		return up(l, *port, *timeout, *idle)
	case "down":
		return down(l)
	case "exec":
		return enter(l, *as, flags.Args())
	case "stop":
		return stop(l, flags.Args())
	case "start":
		return start(l, flags.Args())
	case "load":
		return loadAll(l, flags.Args())
	case "zone":
		if *remove {
			return publish(l, servers, flags.Arg(0), nil)
		}
		return publish(l, servers, flags.Arg(0), os.Stdin)
	case "node": // started by "up"; the rest is started by it
		return runNode(l, *port, *idle)
	case "loadbalancer":
		return runLoadBalancer(l)
	case "policies":
		return runPolicies(l)
	}
	fmt.Fprint(os.Stderr, usage)
	return errors.New("no such command")
}

func makeImage(flags *flag.FlagSet, args []string) error {
	var img image.Image
	flags.StringVar(&img.Name, "name", "", "")
	flags.StringVar(&img.User, "user", "65532:65532", "")
	flags.BoolVar(&img.Libs, "libs", false, "")
	flags.BoolVar(&img.Gzip, "gzip", false, "")
	flags.Var((*list)(&img.Env), "env", "")
	flags.Var((*list)(&img.Files), "file", "")
	out := flags.String("out", "", "")
	flags.Parse(args)
	if img.Name == "" || *out == "" || flags.NArg() == 0 {
		return errors.New("--name, --out and a program are needed")
	}
	img.Entrypoint = flags.Args()
	name, err := img.Write(*out)
	if err == nil {
		fmt.Println(name)
	}
	return err
}

func loadAll(l layout, archives []string) error {
	for _, archive := range archives {
		if err := load(l, archive); err != nil {
			return err
		}
		names, err := image.Names(archive)
		if err != nil {
			return err
		}
		for _, name := range names {
			fmt.Println(name)
		}
	}
	return nil
}
