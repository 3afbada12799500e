module github.com/bodgit/tsig

go 1.26.0

require github.com/miekg/dns v1.1.72
