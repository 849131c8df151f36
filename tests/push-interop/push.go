// DNS Push Notifications as a fork of github.com/miekg/dns has them (Kentzo/dns, branch dso): a client, and a server.
//
//	push client ADDRESS [CA NAME]    with CA over TLS, for a certificate of that name
//	push server ADDRESS              of nginx.default.svc.cluster.test, without and with push
//
// The fork reads and writes every message, and says of each whether it is one that its sender may send. Commands are a
// line each on standard input; what happens is a line each on standard output.
package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

const (
	zone    = "cluster.test."
	service = "nginx.default.svc." + zone
	sets    = "nginx.default._statefulset." + zone
)

func main() {
	var err error
	switch {
	case len(os.Args) == 3 && os.Args[1] == "client":
		err = client(os.Args[2], "", "")
	case len(os.Args) == 5 && os.Args[1] == "client":
		err = client(os.Args[2], os.Args[3], os.Args[4])
	case len(os.Args) == 3 && os.Args[1] == "server":
		err = serve(os.Args[2])
	default:
		err = fmt.Errorf("push client ADDRESS [CA NAME] | push server ADDRESS")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// A session of a client: what was asked, by ID.
type session struct {
	conn  *dns.Conn
	mutex sync.Mutex
	asked map[uint16]*dns.Msg
	names map[uint16]string
}

func client(address, ca, name string) error {
	conn, err := dial(address, ca, name)
	if err != nil {
		return err
	}
	s := &session{conn: &dns.Conn{Conn: conn}, asked: map[uint16]*dns.Msg{}, names: map[uint16]string{}}
	ended := make(chan struct{})
	go func() {
		s.listen()
		close(ended)
	}()
	lines := make(chan string)
	go func() {
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			lines <- in.Text()
		}
		close(lines)
	}()
	for {
		select {
		case <-ended:
			return nil
		case line, open := <-lines:
			if !open {
				return nil
			}
			if err := s.command(line); err != nil {
				fmt.Println("error", err)
			}
		}
	}
}

func dial(address, ca, name string) (net.Conn, error) {
	if ca == "" {
		return net.Dial("tcp", address)
	}
	authority, err := os.ReadFile(ca)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(authority) {
		return nil, fmt.Errorf("%s is no certificate", ca)
	}
	return tls.Dial("tcp", address, &tls.Config{RootCAs: roots, ServerName: name, NextProtos: []string{"dot"}})
}

func (s *session) command(line string) error {
	var name, data string
	var kind, id uint16
	var inactivity, interval uint32
	is := func(format string, into ...any) bool {
		count, _ := fmt.Sscanf(line, format, into...)
		return count == len(into)
	}
	m := new(dns.Msg)
	switch {
	case is("subscribe-padded %s %d", &name, &kind):
		dns.SetDSORequest(m, dns.Id()|1)
		m.Stateful = []dns.DSO{&dns.DSOSubscribe{Name: dns.Fqdn(name), Rrtype: kind, Class: dns.ClassINET},
			&dns.DSOEncryptionPadding{Padding: make([]byte, 100)}}
	case is("subscribe %s %d", &name, &kind):
		dns.SetDSORequest(m, dns.Id()|1)
		m.Stateful = []dns.DSO{&dns.DSOSubscribe{Name: dns.Fqdn(name), Rrtype: kind, Class: dns.ClassINET}}
	case is("unsubscribe %d", &id):
		dns.SetDSOUnidirectional(m)
		m.Stateful = []dns.DSO{&dns.DSOUnsubscribe{SubscribeId: id}}
	case is("reconfirm %s %d %s", &name, &kind, &data):
		octets, err := hex.DecodeString(data)
		if err != nil {
			return err
		}
		header := dns.RR_Header{Name: dns.Fqdn(name), Rrtype: kind, Class: dns.ClassINET, Rdlength: uint16(len(octets))}
		record, _, err := dns.UnpackRRWithHeader(header, octets, 0)
		if err != nil {
			return err
		}
		dns.SetDSOUnidirectional(m)
		m.Stateful = []dns.DSO{&dns.DSOReconfirm{Rr: record}}
	case is("keepalive %d %d", &inactivity, &interval):
		name = "keepalive"
		dns.SetDSORequest(m, dns.Id()|1)
		m.Stateful = []dns.DSO{&dns.DSOKeepAlive{InactivityTimeout: inactivity, KeepAliveInterval: interval}}
	case is("unknown %d", &kind):
		// An operation that nobody knows: its type stands where that of a valid one stood.
		name = "unknown"
		dns.SetDSORequest(m, dns.Id()|1)
		m.Stateful = []dns.DSO{&dns.DSORetryDelay{}}
		octets, err := m.Pack()
		if err != nil {
			return err
		}
		octets[12], octets[13] = byte(kind>>8), byte(kind)
		s.remember(m, name)
		_, err = s.conn.Write(octets)
		return err
	default:
		return fmt.Errorf("no such command: %s", line)
	}
	if err := dns.IsValidDSOMsg(m, false, nil); err != nil {
		return err
	}
	what := "it"
	if m.Id != 0 {
		what = strings.TrimSuffix(name, ".")
		if kind != 0 {
			what = fmt.Sprintf("%s/%d", what, kind)
		}
		s.remember(m, what)
	}
	fmt.Println("sent", what, "id", m.Id)
	return s.conn.WriteMsg(m)
}

func (s *session) remember(m *dns.Msg, what string) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.asked[m.Id], s.names[m.Id] = m, what
}

func (s *session) listen() {
	for {
		octets, err := s.conn.ReadMsgHeader(nil)
		if err != nil {
			if err == io.EOF {
				fmt.Println("end of the stream")
			} else {
				fmt.Println("end by", err)
			}
			return
		}
		m := new(dns.Msg)
		if err := m.Unpack(octets); err != nil {
			fmt.Println("unread", len(octets), err)
			continue
		}
		s.mutex.Lock()
		request, what := s.asked[m.Id], s.names[m.Id]
		s.mutex.Unlock()
		if !m.Response {
			request = nil
		} else if request == nil {
			fmt.Println("invalid: a response to nothing")
		}
		if err := dns.IsValidDSOMsg(m, true, request); err != nil {
			fmt.Println("invalid:", err)
		}
		if m.Response {
			fmt.Print("response ", what, " rcode ", m.Rcode)
		}
		for i, value := range m.Stateful {
			tell(m, value, i, len(octets))
		}
		if m.Response {
			fmt.Println(" octets", len(octets))
		}
	}
}

func tell(m *dns.Msg, value dns.DSO, at, octets int) {
	switch value := value.(type) {
	case *dns.DSOPush:
		fmt.Println("push", octets)
		for _, record := range value.Change {
			h := record.Header()
			data := dns.TypeToString[h.Rrtype] + " " + strings.TrimPrefix(record.String(), h.String())
			switch h.Ttl {
			case dns.DSOPushTTLCollectiveRemove:
				fmt.Println("remove-all", h.Name, h.Rrtype, h.Class)
			case dns.DSOPushTTLRemove:
				fmt.Println("remove", h.Name, h.Rrtype, h.Class, data)
			default:
				fmt.Println("add", h.Name, h.Rrtype, h.Class, "ttl", h.Ttl, data)
			}
		}
		fmt.Println("pushed", len(value.Change))
	case *dns.DSOKeepAlive:
		if m.Response {
			fmt.Print(" keepalive ", value.InactivityTimeout, " ", value.KeepAliveInterval)
		} else {
			fmt.Println("keepalive", value.InactivityTimeout, value.KeepAliveInterval, "id", m.Id)
		}
	case *dns.DSORetryDelay:
		if m.Response {
			fmt.Print(" retry-delay ", value.RetryDelay)
		} else {
			fmt.Println("retry-delay", value.RetryDelay, "rcode", m.Rcode)
		}
	default:
		if m.Response || at > 0 {
			fmt.Print(" ", dns.DSOType(value.DSOType()), " ", value.Len())
		} else {
			fmt.Println("message of type", value.DSOType())
		}
		if !m.Response {
			fmt.Println()
		}
	}
}

// A server of one service, whose replicas are set by a command.
type server struct {
	mutex      sync.Mutex
	replicas   int
	serial     uint32
	collective bool
	sessions   map[string]*subscriber
}

// Who is subscribed, and to what, by the ID of the SUBSCRIBE.
type subscriber struct {
	writer dns.ResponseWriter
	wants  map[uint16]*dns.DSOSubscribe
}

func serve(address string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	s := &server{replicas: 2, serial: 1, sessions: map[string]*subscriber{}}
	tcp := &dns.Server{Listener: listener, Handler: s, MaxTCPQueries: -1, ReadTimeout: time.Hour,
		IdleTimeout:   func() time.Duration { return time.Hour },
		MsgAcceptFunc: func(dns.Header) dns.MsgAcceptAction { return dns.MsgAccept }}
	go tcp.ActivateAndServe()
	fmt.Println("listening", listener.Addr())
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		s.command(in.Text())
	}
	return nil
}

func (s *server) command(line string) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	var replicas int
	var first, second uint32
	switch {
	case line == "collective":
		s.collective = true
	case scans(line, "set %d", &replicas):
		before := s.records()
		s.replicas, s.serial = replicas, s.serial+1
		s.push(before, s.records())
	case scans(line, "keepalive %d %d", &first, &second):
		for _, to := range s.sessions {
			m := dns.SetDSOUnidirectional(new(dns.Msg))
			m.Stateful = []dns.DSO{&dns.DSOKeepAlive{InactivityTimeout: first, KeepAliveInterval: second}}
			s.write(to.writer, m)
		}
	case scans(line, "close %d", &first):
		for at, to := range s.sessions {
			s.write(to.writer, dns.SetDSOClose(new(dns.Msg), time.Duration(first)*time.Millisecond, dns.RcodeSuccess))
			delete(s.sessions, at)
		}
	default:
		fmt.Println("no such command:", line)
	}
}

func scans(line, format string, into ...any) bool {
	count, _ := fmt.Sscanf(line, format, into...)
	return count == len(into)
}

func (s *server) records() []dns.RR {
	var all []dns.RR
	add := func(text string) {
		record, err := dns.NewRR(text)
		if err != nil {
			panic(err)
		}
		all = append(all, record)
	}
	add(fmt.Sprintf("%s 5 IN SOA ns.%s hostmaster.%s %d 7200 1800 86400 5", zone, zone, zone, s.serial))
	add(fmt.Sprintf("%s 5 IN TXT name=web replicas=%d start=0 ready=%d", sets, s.replicas, s.replicas))
	for i := range s.replicas {
		add(fmt.Sprintf("%s 5 IN A 10.9.0.%d", service, i+1))
		add(fmt.Sprintf("web-%d.%s 5 IN A 10.9.0.%d", i, service, i+1))
		add(fmt.Sprintf("%s 5 IN SRV 0 10 80 web-%d.%s", service, i, service))
	}
	return all
}

func matches(record dns.RR, name string, kind uint16) bool {
	h := record.Header()
	return strings.EqualFold(h.Name, name) && (kind == dns.TypeANY || kind == h.Rrtype)
}

func (s *server) write(w dns.ResponseWriter, m *dns.Msg) {
	m.Compress = true
	if err := w.WriteMsg(m); err != nil {
		fmt.Println("not sent:", err)
	}
}

// push tells who is subscribed what differs: what is added first.
func (s *server) push(before, after []dns.RR) {
	for _, to := range s.sessions {
		for _, wanted := range to.wants {
			var changes []dns.RR
			there := map[string]bool{}
			for _, record := range before {
				there[record.String()] = true
			}
			left := 0
			for _, record := range after {
				if !matches(record, wanted.Name, wanted.Rrtype) {
					continue
				}
				left++
				if !there[record.String()] {
					changes = append(changes, record)
				}
				delete(there, record.String())
			}
			for _, record := range before {
				if there[record.String()] && matches(record, wanted.Name, wanted.Rrtype) && (left > 0 || !s.collective) {
					gone := dns.Copy(record)
					gone.Header().Ttl = dns.DSOPushTTLRemove
					changes = append(changes, gone)
				}
			}
			if left == 0 && s.collective {
				changes = append(changes, &dns.ANY{Hdr: dns.RR_Header{Name: wanted.Name, Rrtype: wanted.Rrtype,
					Class: dns.ClassINET, Ttl: dns.DSOPushTTLCollectiveRemove}})
			}
			s.tell(to.writer, changes)
		}
	}
}

func (s *server) tell(w dns.ResponseWriter, changes []dns.RR) {
	if len(changes) > 0 {
		m := dns.SetDSOUnidirectional(new(dns.Msg))
		m.Stateful = []dns.DSO{&dns.DSOPush{Change: changes}}
		if err := dns.IsValidDSOMsg(m, true, nil); err != nil {
			fmt.Println("invalid push:", err)
		}
		s.write(w, m)
	}
}

// ServeDNS answers a question, or takes a stateful message.
func (s *server) ServeDNS(w dns.ResponseWriter, m *dns.Msg) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if m.Opcode != dns.OpcodeStateful {
		s.answer(w, m)
		return
	}
	if err := dns.IsValidDSOMsg(m, false, nil); err != nil {
		fmt.Println("invalid:", err)
		w.Close()
		return
	}
	at := w.RemoteAddr().String()
	to := s.sessions[at]
	if to == nil {
		to = &subscriber{writer: w, wants: map[uint16]*dns.DSOSubscribe{}}
		s.sessions[at] = to
	}
	switch value := m.Stateful[0].(type) {
	case *dns.DSOKeepAlive:
		fmt.Println("client wants", value)
		reply := dns.SetDSOResponse(new(dns.Msg), m, dns.RcodeSuccess)
		reply.Stateful = []dns.DSO{&dns.DSOKeepAlive{InactivityTimeout: value.InactivityTimeout, KeepAliveInterval: 60_000}}
		s.write(w, reply)
	case *dns.DSOSubscribe:
		fmt.Println("client subscribes", value.Name, value.Rrtype)
		s.write(w, dns.SetDSOResponse(new(dns.Msg), m, dns.RcodeSuccess))
		to.wants[m.Id] = value
		var there []dns.RR
		for _, record := range s.records() {
			if matches(record, value.Name, value.Rrtype) {
				there = append(there, record)
			}
		}
		s.tell(w, there)
	case *dns.DSOUnsubscribe:
		delete(to.wants, value.SubscribeId)
	default:
		fmt.Println("client says", dns.DSOType(value.DSOType()))
	}
}

func (s *server) answer(w dns.ResponseWriter, m *dns.Msg) {
	reply := new(dns.Msg).SetReply(m)
	reply.Authoritative = true
	question := m.Question[0]
	exists := false
	all := s.records()
	for _, record := range all {
		exists = exists || strings.HasSuffix("."+strings.ToLower(record.Header().Name), "."+strings.ToLower(question.Name))
		if matches(record, question.Name, question.Qtype) {
			reply.Answer = append(reply.Answer, record)
		}
	}
	if len(reply.Answer) == 0 {
		reply.Ns = all[:1]
	}
	if !exists {
		reply.Rcode = dns.RcodeNameError
	}
	w.WriteMsg(reply)
}
