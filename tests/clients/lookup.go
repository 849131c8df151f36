// Command lookup asks Go's resolver. Without arguments it reads questions, `TYPE NAME` a line, and prints
// `TYPE NAME ANSWER`, tab-separated, in the normal form of ask.sh. `lookup peers NAME` plays the application of
// scenario S6: it looks up the SRV records of NAME, fetches /data from every target and prints `- target: data`.
//
// GODEBUG=netdns=go or netdns=cgo chooses the resolver, as it does for any Go program. ROLLCALL_SERVER=host:port, if
// set, is asked instead of what resolv.conf names.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sort"
	"strings"
	"time"
)

const patience = 3 * time.Second

func main() {
	resolver := newResolver()
	if len(os.Args) == 3 && os.Args[1] == "peers" {
		if err := printPeers(resolver, os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	questions := bufio.NewScanner(os.Stdin)
	for questions.Scan() {
		qtype, name, _ := strings.Cut(questions.Text(), " ")
		fmt.Printf("%s\t%s\t%s\n", qtype, name, normalForm(ask(resolver, qtype, name)))
	}
}

func newResolver() *net.Resolver {
	server := os.Getenv("ROLLCALL_SERVER")
	if server == "" {
		// PreferGo would overrule GODEBUG=netdns=cgo.
		return &net.Resolver{PreferGo: !strings.Contains(os.Getenv("GODEBUG"), "netdns=cgo")}
	}
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, server)
	}
	return &net.Resolver{PreferGo: true, Dial: dial}
}

func ask(resolver *net.Resolver, qtype, name string) ([]string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var words []string
	switch qtype {
	case "A", "AAAA":
		family := map[string]string{"A": "ip4", "AAAA": "ip6"}[qtype]
		addresses, err := resolver.LookupNetIP(ctx, family, name)
		for _, address := range addresses {
			words = append(words, address.Unmap().String())
		}
		return words, err
	case "SRV":
		_, records, err := resolver.LookupSRV(ctx, "", "", name)
		for _, record := range records {
			words = append(words, fmt.Sprintf("%d:%s", record.Port, record.Target))
		}
		return words, err
	case "PTR":
		return resolver.LookupAddr(ctx, name)
	case "TXT":
		texts, err := resolver.LookupTXT(ctx, name)
		for _, text := range texts {
			words = append(words, `"`+text+`"`)
		}
		return words, err
	}
	return nil, fmt.Errorf("a type this program does not ask: %s", qtype)
}

// normalForm sorts; Go does not tell NXDOMAIN from NODATA, and with cgo has an error of its own for a name that has
// addresses of the other family only.
func normalForm(words []string, err error) string {
	var dnsError *net.DNSError
	var noneOfFamily *net.AddrError
	switch {
	case errors.As(err, &dnsError) && dnsError.IsNotFound, errors.As(err, &noneOfFamily):
		return "NONE"
	case err != nil:
		return "ERROR: " + err.Error()
	}
	sort.Strings(words)
	return strings.Join(words, " ")
}

func printPeers(resolver *net.Resolver, name string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, records, err := resolver.LookupSRV(ctx, "", "", name)
	if err != nil {
		return err
	}
	client := http.Client{
		Timeout:   patience,
		Transport: &http.Transport{DialContext: (&net.Dialer{Resolver: resolver}).DialContext},
	}
	for _, record := range records {
		response, err := client.Get(fmt.Sprintf("http://%s:%d/data", record.Target, record.Port))
		if err != nil {
			return err
		}
		data, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil {
			return err
		}
		fmt.Printf("- %s: %s\n", record.Target, strings.TrimSpace(string(data)))
	}
	return nil
}
