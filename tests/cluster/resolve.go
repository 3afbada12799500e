package main

import (
	"context"
	"net"
	"time"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/plugin"
	"github.com/miekg/dns"
)

const (
	askTimeout   = 2 * time.Second
	cnameHopsMax = 8
)

// resolver is the CoreDNS plugin that stands for a recursive resolver of the
// made-up internet: "resolve ADDRESS...". It asks each name server until one
// is authoritative, and remembers nothing, so that a change shows at once.
type resolver struct{ servers []string }

func init() {
	plugin.Register("resolve", func(c *caddy.Controller) error {
		c.Next()
		r := resolver{c.RemainingArgs()}
		dnsserver.GetConfig(c).AddPlugin(func(plugin.Handler) plugin.Handler { return r })
		return nil
	})
}

func (r resolver) Name() string { return "resolve" }

func (r resolver) ServeDNS(_ context.Context, w dns.ResponseWriter, request *dns.Msg) (int, error) {
	reply := new(dns.Msg)
	reply.SetReply(request)
	reply.RecursionAvailable = true
	question := request.Question[0]
	for range cnameHopsMax {
		answer := r.ask(question)
		reply.Rcode, reply.Ns = answer.Rcode, answer.Ns
		reply.Answer = append(reply.Answer, answer.Answer...)
		last := len(answer.Answer) - 1
		if last < 0 {
			break
		}
		cname, ok := answer.Answer[last].(*dns.CNAME)
		if !ok || question.Qtype == dns.TypeCNAME || question.Qtype == dns.TypeANY {
			break
		}
		question.Name = cname.Target
	}
	return dns.RcodeSuccess, w.WriteMsg(reply)
}

// ask gives an authoritative answer; NXDOMAIN if all servers know nothing of
// the name, and SERVFAIL if one that may know it gave no answer.
func (r resolver) ask(question dns.Question) *dns.Msg {
	query := new(dns.Msg)
	query.SetQuestion(question.Name, question.Qtype)
	query.RecursionDesired = false
	client := dns.Client{Net: "tcp", Timeout: askTimeout} // never truncated
	none := &dns.Msg{MsgHdr: dns.MsgHdr{Rcode: dns.RcodeNameError}, Ns: []dns.RR{&dns.SOA{
		Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: 1},
		Ns:  "ns1.test.", Mbox: "hostmaster.test.", Serial: 1, Refresh: 1, Retry: 1, Expire: 1, Minttl: 1}}}
	for _, server := range r.servers {
		answer, _, err := client.Exchange(query, net.JoinHostPort(server, "53"))
		switch {
		case err != nil || answer.Rcode == dns.RcodeServerFailure:
			none = &dns.Msg{MsgHdr: dns.MsgHdr{Rcode: dns.RcodeServerFailure}}
		case answer.Authoritative:
			return answer
		}
	}
	return none
}
