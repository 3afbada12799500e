package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"
)

// zoneTimeout is thirty times what a name server needs to see a change.
const zoneTimeout = 30 * time.Second

// publish writes a zone's records to name servers (1 to 3; none: all of them),
// with SOA and NS records before them, and waits until they serve it. Without
// records the zone is removed.
func publish(l layout, servers []string, origin string, records io.Reader) error {
	origin = strings.ToLower(strings.TrimSuffix(origin, "."))
	if origin == "" || strings.ContainsAny(origin, "/ ") {
		return errors.New("an origin is needed")
	}
	// A server reads a zone again if its serial is another.
	serial := uint32(time.Now().UnixMilli())
	var text strings.Builder
	fmt.Fprintf(&text, "$ORIGIN %s.\n$TTL 1\n@ IN SOA ns1.test. hostmaster.test. %d 1 1 1 1\n", origin, serial)
	for ns := range nameServers {
		fmt.Fprintf(&text, "@ IN NS ns%d.test.\n", ns+1)
	}
	if records == nil {
		serial = 0
	} else if _, err := io.Copy(&text, records); err != nil {
		return err
	}
	if len(servers) == 0 {
		servers = []string{"1", "2", "3"}
	}
	var asked []int
	for _, server := range servers {
		ns := strings.Index("123", server)
		if len(server) != 1 || ns < 0 {
			return fmt.Errorf("--ns %q: it is 1, 2 or 3", server)
		}
		if err := l.writeZone(ns, origin, text.String(), records == nil); err != nil {
			return err
		}
		if !exists(l.stoppedFile(fmt.Sprintf("ns%d", ns+1))) {
			asked = append(asked, ns)
		}
	}
	return l.waitZone(asked, origin, serial)
}

// writeZone replaces the file at once: half a zone is never read.
func (l layout) writeZone(ns int, origin, text string, remove bool) error {
	file := filepath.Join(l.zones(ns), "db."+origin)
	if remove {
		if err := os.Remove(file); err != nil && !os.IsNotExist(err) {
			return err
		}
		return nil
	}
	half := filepath.Join(l.zones(ns), fmt.Sprintf("half-%d", os.Getpid()))
	if err := os.WriteFile(half, []byte(text), 0o644); err != nil {
		return err
	}
	return os.Rename(half, file)
}

// waitZone waits for a serial, or for none (0).
func (l layout) waitZone(servers []int, origin string, serial uint32) error {
	pid := l.pid()
	network, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", pid))
	if err != nil {
		return errors.New("the cluster is not running")
	}
	defer network.Close()
	runtime.LockOSThread() // and never unlock it: no other may get this thread
	if err := unix.Setns(int(network.Fd()), unix.CLONE_NEWNET); err != nil {
		return err
	}
	for _, ns := range servers {
		if !within(zoneTimeout, func() bool { return soaSerial(nameServers[ns], origin) == serial }) {
			return fmt.Errorf("ns%d does not serve %s: is the zone well-formed? see %s", ns+1, origin, l.log(fmt.Sprintf("ns%d", ns+1)))
		}
	}
	return nil
}

// soaSerial is 0 if the server has no such zone, and 1 (no serial of ours) if it cannot tell.
func soaSerial(server, origin string) uint32 {
	query := new(dns.Msg)
	query.SetQuestion(dns.Fqdn(origin), dns.TypeSOA)
	answer, err := dns.Exchange(query, net.JoinHostPort(server, "53"))
	if err == nil && answer.Rcode == dns.RcodeRefused {
		return 0
	}
	if err != nil {
		return 1
	}
	for _, record := range answer.Answer {
		if soa, ok := record.(*dns.SOA); ok {
			return soa.Serial
		}
	}
	return 1
}
