// Command peer-finder follows the peers of a headless service as peer-finder does, to be measured beside `rollcall peers`:
// it looks the service's SRV records up, waits for a second and does so again, and runs a program whenever the set of
// their targets is another one. The program has the names on its standard input, in order, a line each, and is waited for.
//
// What it does is kubernetes-retired/contrib's peer-finder, seen from outside; none of its code is here. What differs is in
// its favour: the name is absolute, so that a lookup is one question (a pod's search list with ndots:5 makes it four, three of
// which are for names that are not there), the server is asked without CoreDNS in between, and the program is started
// without a shell.
//
//	peer-finder -server 127.0.0.1:53 -service db.shop.svc.cluster.local. program argument...
package main

import (
	"context"
	"flag"
	"log"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// Between the end of one lookup, or of what was run for it, and the next.
const poll = time.Second

func main() {
	server := flag.String("server", "", "the DNS server to ask, `HOST:PORT`")
	service := flag.String("service", "", "the service's whole `name`, with the final dot")
	flag.Parse()
	if *server == "" || *service == "" || flag.NArg() == 0 {
		flag.Usage()
		os.Exit(2)
	}
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, *server)
	}
	resolver := &net.Resolver{PreferGo: true, Dial: dial}
	var known []string
	for ; ; time.Sleep(poll) {
		names, err := targets(resolver, *service)
		if err != nil {
			// Nothing is known: the next lookup may tell.
			log.Print(err)
			continue
		}
		if slices.Equal(names, known) {
			continue
		}
		if err := run(flag.Args(), names); err != nil {
			log.Fatal(err)
		}
		known = names
	}
}

// targets gives the names that a service's SRV records lead to, each once, in order.
func targets(resolver *net.Resolver, service string) ([]string, error) {
	_, records, err := resolver.LookupSRV(context.Background(), "", "", service)
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(records))
	for _, record := range records {
		names = append(names, record.Target)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// run gives the names to a program and waits for its end.
func run(command, names []string) error {
	program := exec.Command(command[0], command[1:]...)
	program.Stdin = strings.NewReader(strings.Join(names, "\n") + "\n")
	program.Stdout, program.Stderr = os.Stderr, os.Stderr
	return program.Run()
}
