// Package externaldns runs external-dns' own source, registries, planner and providers by its own flags. Its package
// `controller` would bring the clients of every DNS host along; what that does in a round is done here.
package externaldns

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/go-logr/logr"
	log "github.com/sirupsen/logrus"
	"k8s.io/klog/v2"
	crlog "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/external-dns/endpoint"
	"sigs.k8s.io/external-dns/pkg/apis/externaldns"
	"sigs.k8s.io/external-dns/plan"
	"sigs.k8s.io/external-dns/provider"
	"sigs.k8s.io/external-dns/provider/pdns"
	"sigs.k8s.io/external-dns/provider/rfc2136"
	"sigs.k8s.io/external-dns/registry"
	"sigs.k8s.io/external-dns/registry/noop"
	"sigs.k8s.io/external-dns/registry/txt"
	"sigs.k8s.io/external-dns/source"
	"sigs.k8s.io/external-dns/source/annotations"
	"sigs.k8s.io/external-dns/source/wrappers"
)

type constructor func(context.Context, *externaldns.Config, *endpoint.DomainFilter) (provider.Provider, error)

var providers = map[string]constructor{
	externaldns.ProviderRFC2136: rfc2136.New,
	externaldns.ProviderPDNS:    pdns.New,
}

var registries = map[string]func(*externaldns.Config, provider.Provider) (registry.Registry, error){
	externaldns.RegistryTXT:  txt.New,
	externaldns.RegistryNoop: noop.New,
}

// Run makes a round every `--interval` until the context ends. The definition of DNSEndpoint must be there.
func Run(ctx context.Context, flags []string) error {
	config := externaldns.NewConfig()
	if err := config.ParseFlags(flags); err != nil {
		return err
	}
	if config.KubeConfig == "" {
		config.KubeConfig = os.Getenv("KUBECONFIG")
	}
	level, err := log.ParseLevel(config.LogLevel)
	if err != nil {
		return err
	}
	log.SetLevel(level)
	klog.SetLogger(logr.Discard())
	crlog.SetLogger(logr.Discard())
	annotations.SetAnnotationPrefix(config.AnnotationPrefix)
	rounds, err := prepare(ctx, config)
	if err != nil {
		return err
	}
	ticker := time.NewTicker(config.Interval)
	defer ticker.Stop()
	for {
		// Soft errors are what it goes on after.
		if err := rounds.once(ctx); errors.Is(err, provider.SoftError) {
			log.Error(err)
		} else if err != nil && ctx.Err() == nil {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

type rounds struct {
	config   *externaldns.Config
	source   source.Source
	registry registry.Registry
	filter   *endpoint.DomainFilter
}

func prepare(ctx context.Context, config *externaldns.Config) (*rounds, error) {
	newProvider, ok := providers[config.Provider]
	if !ok {
		return nil, fmt.Errorf("--provider=%s is not built in", config.Provider)
	}
	newRegistry, ok := registries[config.Registry]
	if !ok {
		return nil, fmt.Errorf("--registry=%s is not built in", config.Registry)
	}
	if _, ok := plan.Policies[config.Policy]; !ok {
		return nil, fmt.Errorf("--policy=%s: there is none", config.Policy)
	}
	sources, err := source.NewSourceConfig(config)
	if err != nil {
		return nil, err
	}
	endpoints, err := wrappers.Build(ctx, sources)
	if err != nil {
		return nil, err
	}
	filter := endpoint.NewDomainFilterWithOptions(endpoint.WithDomainFilter(config.DomainFilter))
	host, err := newProvider(ctx, config, filter)
	if err != nil {
		return nil, err
	}
	owners, err := newRegistry(config, host)
	if err != nil {
		return nil, err
	}
	return &rounds{config, endpoints, owners, filter}, nil
}

// What is there, what should be, and the way from the one to the other.
func (it *rounds) once(ctx context.Context) error {
	current, err := it.registry.Records(ctx)
	if err != nil {
		return err
	}
	ctx = context.WithValue(ctx, provider.RecordsContextKey, current)
	wanted, err := it.source.Endpoints(ctx)
	if err != nil {
		return err
	}
	if wanted, err = it.registry.AdjustEndpoints(wanted); err != nil {
		return err
	}
	found := (&plan.Plan{
		Policies:       []plan.Policy{plan.Policies[it.config.Policy]},
		Current:        current,
		Desired:        wanted,
		DomainFilter:   endpoint.MatchAllDomainFilters{it.filter, it.registry.GetDomainFilter()},
		ManagedRecords: it.config.ManagedDNSRecordTypes,
		ExcludeRecords: it.config.ExcludeDNSRecordTypes,
		OwnerID:        it.registry.OwnerID(),
	}).Calculate()
	if !found.Changes.HasChanges() {
		return nil
	}
	return it.registry.ApplyChanges(ctx, found.Changes)
}
