// Addons are what users have in their clusters beside Paquebot, run for real in tests: the parts of cert-manager and
// external-dns that our objects are for, out of their published modules. Each takes the kubeconfig of KUBECONFIG, works
// in all namespaces, logs to standard error and ends with SIGTERM.
//
//	addons cert-manager            issuers of the kinds CA and SelfSigned
//	addons external-dns FLAGS...   its own flags; source crd, providers rfc2136 and pdns
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"addons/certmanager"
	"addons/externaldns"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "addons:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, words []string) error {
	switch {
	case len(words) == 1 && words[0] == "cert-manager":
		return certmanager.Run(ctx)
	case len(words) > 0 && words[0] == "external-dns":
		return externaldns.Run(ctx, words[1:])
	}
	return fmt.Errorf("%q: say `cert-manager`, or `external-dns` and its flags", words)
}
