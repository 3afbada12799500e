"""Verifies each signature of a message (standard input) by keys of a name server: ADDRESS PORT SIGNATURES."""
import sys, dkim, dns.resolver
resolver = dns.resolver.Resolver(configure=False)
resolver.nameservers, resolver.port = [sys.argv[1]], int(sys.argv[2])
def lookup(name, timeout=5):
    return b"".join(resolver.resolve(name.decode(), "TXT")[0].strings)
verifier = dkim.DKIM(sys.stdin.buffer.read())
for index in range(int(sys.argv[3])):
    assert verifier.verify(idx=index, dnsfunc=lookup), "signature %d is not valid" % index
