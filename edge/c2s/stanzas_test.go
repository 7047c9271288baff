package c2s

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"chancery/core/account"
	"chancery/core/online"
	"chancery/core/route"
	"chancery/core/session"
	"chancery/core/settings"
	"chancery/edge/listen"
	"chancery/store"
	"chancery/xmpp/elem"
	"chancery/xmpp/jid"
	"chancery/xmpp/stanza"
	"chancery/xmpp/stream"
)

var (
	romeo = jid.MustParse("romeo@a.example/phone")
	peer  = jid.MustParse("juliet@a.example/balcony")
)

// door is a listener whose one connection is a pipe. Its other end is the client.
type door struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (d *door) Accept() (net.Conn, error) {
	select {
	case c := <-d.conns:
		return c, nil
	case <-d.done:
		return nil, net.ErrClosed
	}
}
func (d *door) Close() error   { d.once.Do(func() { close(d.done) }); return nil }
func (d *door) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 5222} }

// world is what is behind a bound session: the real router, and stages that let
// everything pass. Nothing is stored.
type world struct {
	set    *settings.Settings
	srv    *Server
	log    logbook
	online *online.Table
	ended  chan string

	door *door
	l    *listen.Listener
	wait sync.WaitGroup
}

type logbook struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logbook) defects() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if strings.Contains(l.b.String(), "level=ERROR") {
		return l.b.String()
	}
	return ""
}

type stages struct{}

func (stages) Serves(domain string) bool { return domain == "a.example" }
func (stages) Find(_ context.Context, bare jid.JID) (account.Account, error) {
	return account.Account{}, store.ErrNone
}
func (stages) Blocks(context.Context, account.Account, jid.JID) (bool, error) { return false, nil }
func (stages) Sent(context.Context, *route.Transit) error                     { return nil }
func (stages) Received(context.Context, *route.Transit) error                 { return nil }
func (stages) Forward(context.Context, *route.Transit) error {
	return stanza.Refuse(stanza.RemoteServerNotFound, "")
}
func (stages) Outbound(context.Context, *route.Transit) error { return nil }
func (stages) Inbound(context.Context, *route.Transit) error  { return nil }
func (stages) ToServer(context.Context, *route.Transit) error { return nil }
func (stages) Keep(context.Context, *route.Transit) error     { return nil }
func (stages) Arriving(*session.Session)                      {}
func (stages) Behind(*session.Session) bool                   { return false }
func (stages) Arrived(context.Context, *session.Session)      {}

type copies struct{}

func (copies) Sent(context.Context, *route.Transit)                         {}
func (copies) Received(context.Context, *route.Transit, []*session.Session) {}

func newWorld() *world {
	w := &world{set: settings.Defaults(), online: online.New(), ended: make(chan string, 10), door: &door{conns: make(chan net.Conn), done: make(chan struct{})}}
	live := settings.Fixed(w.set)
	log := slog.New(slog.NewTextHandler(&w.log, nil))
	env := &session.Env{Settings: live, Log: log, Ended: func(s *session.Session, _ []session.Entry) {
		w.online.Remove(s)
		w.ended <- s.JID.String()
	}}
	w.srv = &Server{Log: log, Settings: live, Online: w.online, Sessions: env, Going: context.Background(), Router: &route.Router{
		Log: log, Online: w.online, Hosts: stages{}, Accounts: stages{}, Block: stages{}, Archive: stages{}, Copies: copies{}, Absent: stages{},
		Presence: stages{}, Remote: stages{}, Answers: route.NewTable(), Forged: func(p elem.Part) bool { return p.Name.Local == "forged" },
		Context: context.Background(),
	}}
	w.l = listen.On(w.door, listen.Config{Name: "c2s"}, listen.NewGate(live, log), log)
	return w
}

// bound is a client that has negotiated everything already, without TLS. The
// session has been given to use, when it is not nil, before the reader begins.
func (w *world) bound(use func(*session.Session)) (client net.Conn, sess *session.Session) {
	client, server := net.Pipe()
	got := make(chan *session.Session)
	w.wait.Go(func() {
		w.l.Serve(context.Background(), func(ctx context.Context, d *listen.Conn) {
			c := newConn(w.srv, d)
			c.domain, c.open = romeo.Server(), true
			c.dec = openDecoder()
			c.dec.SetLimits(after(w.set))
			c.sess = session.New(w.srv.Sessions, "c1", romeo, 1, c, session.Facts{})
			w.online.Bind(c.sess, online.Policy{})
			if use != nil {
				use(c.sess)
			}
			got <- c.sess
			d.Go(func() { c.stanzas(ctx) })
		})
	})
	w.door.conns <- server
	client.Write([]byte(" ")) // the first byte, which says that it is no TLS
	return client, <-got
}

// openDecoder has read a header.
func openDecoder() *elem.Decoder {
	d := elem.NewDecoder(stanza.NSClient, elem.Limits{})
	header := "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='a.example' version='1.0'>"
	d.Filled(copy(d.Space(), header))
	if ev, err := d.Next(); ev != elem.StreamOpen || err != nil {
		panic(err)
	}
	return d
}

// close stops the listener and waits for its connections.
func (w *world) close() {
	w.l.Close()
	w.wait.Wait()
}

// reading collects what a client gets, until the end.
type reading struct {
	mu   sync.Mutex
	b    bytes.Buffer
	done chan error
}

func read(c net.Conn) *reading {
	r := &reading{done: make(chan error, 1)}
	go func() {
		_, err := io.Copy(r, c)
		r.done <- err
	}()
	return r
}

func (r *reading) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.b.Write(p)
}

// take is what came since the last call, when all is quiet; for bubbles.
func (r *reading) take() string {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.b.String()
	r.b.Reset()
	return s
}

func (r *reading) wants(t *testing.T, want ...string) {
	t.Helper()
	got := r.take()
	for _, w := range want {
		if !strings.Contains(got, w) {
			t.Errorf("got %q, which lacks %q", got, w)
		}
	}
	if len(want) == 0 && got != "" {
		t.Errorf("got %q, want nothing", got)
	}
}

const message = "<message to='juliet@a.example/balcony' type='chat' id='%d'><body>hark</body></message>"

func TestForgedFromIsRefused(t *testing.T) {
	for from, own := range map[string]bool{
		"":                                     true, // no attribute
		"from='romeo@a.example/phone'":         true,
		"from='romeo@a.example'":               true,
		"from='ROMEO@A.example'":               true, // the same address
		"from='romeo@a.example/desk'":          false,
		"from='romeo@a.example/Phone'":         false,
		"from='juliet@a.example/balcony'":      false,
		"from='romeo@b.example/phone'":         false,
		"from='a.example'":                     false,
		"from='@'":                             false,
		"from=''":                              false,
		"from='romeo@a.example/phone&#x200b;'": false,
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld()
			client, _ := w.bound(nil)
			r := read(client)
			fmt.Fprintf(client, "<iq %s type='get' id='1' to='a.example'><x xmlns='y'/></iq>", from)
			got := r.take()
			if refused := strings.Contains(got, "<invalid-from ") && strings.Contains(got, "</stream:stream>"); refused == own {
				t.Errorf("%s: got %q", from, got)
			}
			if answered := strings.Contains(got, "id='1'"); answered != own {
				t.Errorf("%s: answered with %q", from, got)
			}
			client.Close()
			w.close()
		})
	}
}

func TestASlowStanzaEndsTheStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		client, _ := w.bound(nil)
		r := read(client)
		io.WriteString(client, "<message><bo")
		for range 20 { // a sign of life does not help
			time.Sleep(w.set.C2S.StanzaTime / 21)
			io.WriteString(client, "d")
		}
		r.wants(t)
		time.Sleep(w.set.C2S.StanzaTime / 10)
		r.wants(t, "<policy-violation ", "complete in", "</stream:stream>")
		<-w.ended
		<-r.done
		w.close()
	})
}

// A client with a slow uplink sends one stanza behind the other, so that there is
// always one which has begun.
func TestAClientThatNeverPausesIsNotSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		client, _ := w.bound(nil)
		r := read(client)
		io.WriteString(client, "<iq type='get'")
		for i := range 100 {
			time.Sleep(w.set.C2S.StanzaTime / 10)
			fmt.Fprintf(client, " id='%d' to='a.example'><x xmlns='y'/></iq><iq type='get'", i)
		}
		r.wants(t, "id='0'", "id='99'")
		client.Close()
		w.close()
	})
}

func TestASilentClientIsPingedAndThenGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		client, _ := w.bound(nil)
		r := read(client)
		time.Sleep(w.set.C2S.PingAfter + time.Second)
		r.wants(t, "<ping xmlns='urn:xmpp:ping'/>")
		time.Sleep(w.set.C2S.PingTimeout - 2*time.Second)
		io.WriteString(client, " ") // which is an answer
		time.Sleep(w.set.C2S.PingAfter / 2)
		r.wants(t)
		time.Sleep(w.set.C2S.PingAfter/2 + 2*time.Second)
		r.wants(t, "<ping ")
		time.Sleep(w.set.C2S.PingTimeout)
		r.wants(t, "<connection-timeout ", "</stream:stream>")
		<-w.ended
		w.close()
	})
}

func TestWithoutPingsSilenceIsGolden(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.set.C2S.PingAfter = 0
		client, sess := w.bound(nil)
		r := read(client)
		time.Sleep(23 * time.Hour)
		r.wants(t)
		if !sess.Attached() {
			t.Error("gone")
		}
		client.Close()
		w.close()
	})
}

func TestAnOversizeStanzaEndsTheStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		client, _ := w.bound(nil)
		r := read(client)
		go fmt.Fprintf(client, "<message to='juliet@a.example'><body>%s</body></message>", strings.Repeat("x", w.set.C2S.StanzaBytes))
		r.wants(t, "<policy-violation ", "</stream:stream>")
		<-w.ended
		client.Close()
		w.close()
	})
}

func TestWhatIsNoStanza(t *testing.T) {
	for sent, want := range map[string]string{
		"<foo/>":                           "<unsupported-stanza-type ",
		"<foo xmlns='bar'/>":               "<unsupported-stanza-type ",
		"<message xmlns='jabber:server'/>": "<invalid-namespace ",
		"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>":                "<not-authorized ",
		"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>":             "<not-authorized ",
		"<x xmlns='urn:xmpp:sm:3'/>":                                      "<unsupported-stanza-type ",
		"<a xmlns='urn:xmpp:sm:3'/>":                                      "<bad-format ",
		"<a xmlns='urn:xmpp:sm:3' h='-1'/>":                               "<bad-format ",
		"<a xmlns='urn:xmpp:sm:3' h='4294967296'/>":                       "<bad-format ",
		"<x xmlns='urn:xmpp:csi:0'/>":                                     "<unsupported-stanza-type ",
		"<stream:stream xmlns:stream='http://etherx.jabber.org/streams'>": "<stream:error>",
		"text": "<stream:error>",
		"</x>": "<not-well-formed ",
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld()
			client, _ := w.bound(nil)
			r := read(client)
			io.WriteString(client, sent)
			if got := r.take(); !strings.Contains(got, want) || !strings.HasSuffix(got, "</stream:error></stream:stream>") {
				t.Errorf("%s: got %q, want %s", sent, got, want)
			}
			<-w.ended
			client.Close()
			w.close()
		})
	}
}

func TestAMalformedAddressIsAnsweredInItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		client, sess := w.bound(nil)
		r := read(client)
		io.WriteString(client, "<iq type='get' id='1' to='a.example'><x xmlns='y'/></iq><message to='@' id='2'/><presence to='a@b/' id='3'/>"+
			"<iq type='result' to='@' id='4'/><message type='error' to='@' id='5'/><iq type='get' id='6' to='a.example'><x xmlns='y'/></iq>")
		got := r.take()
		at := -1
		for _, id := range []string{"1", "2", "3", "6"} {
			i := strings.Index(got, "id='"+id+"'")
			if i < at || i < 0 {
				t.Errorf("%s is not where it belongs: %s", id, got)
			}
			at = i
		}
		if strings.Contains(got, "id='4'") || strings.Contains(got, "id='5'") || strings.Count(got, "<jid-malformed ") != 2 {
			t.Error(got)
		}
		if err := sess.Enable(t.Context(), false); err != nil {
			t.Error(err)
		}
		io.WriteString(client, "<message to='@'/><r xmlns='urn:xmpp:sm:3'/>")
		r.wants(t, "<a xmlns='urn:xmpp:sm:3' h='1'/>")
		client.Close()
		w.close()
	})
}

// What waits for a client is written before the goodbye, whoever says it, and the
// goodbye before the connection is closed, also when the client does not read for
// a while.
func TestLastWordsReachTheClient(t *testing.T) {
	for name, end := range map[string]struct {
		do   func(client net.Conn, sess *session.Session)
		says string
	}{
		"the client closes": {func(c net.Conn, s *session.Session) { go io.WriteString(c, "</stream:stream>") }, ""},
		"the client errs":   {func(c net.Conn, s *session.Session) { go io.WriteString(c, "</x>") }, stream.NotWellFormed},
		"an administrator":  {func(c net.Conn, s *session.Session) { s.End(stream.Fail(stream.NotAuthorized, "")) }, stream.NotAuthorized},
		"a shutdown":        {func(c net.Conn, s *session.Session) { s.Suspend(Shutdown()); s.EndNow(nil) }, stream.SystemShutdown},
		"an end while it sends": {func(c net.Conn, s *session.Session) {
			s.End(stream.Fail(stream.Conflict, ""))
			go fmt.Fprintf(c, message, 1)
		}, stream.Conflict},
		"an end while it is silent": {func(c net.Conn, s *session.Session) { s.EndNow(stream.Fail(stream.Conflict, "")) }, stream.Conflict},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				client, sess := w.bound(nil)
				for i := range 3 {
					st := stanza.New(stanza.Message, "")
					st.ID = fmt.Sprint("waiting", i)
					sess.Send(st)
					synctest.Wait()
				}
				end.do(client, sess)
				time.Sleep(time.Second) // it does not read
				r := read(client)
				want := []string{"waiting0", "waiting1", "waiting2", "</stream:stream>"}
				if end.says != "" {
					want = append(want, "<"+end.says+" ")
				}
				r.wants(t, want...)
				if err := <-r.done; err != nil {
					t.Error(err)
				}
				<-w.ended
				w.close()
			})
		})
	}
}

// Nobody waits for a client that never reads its goodbye.
func TestAGoodbyeIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		_, sess := w.bound(nil)
		sess.Send(stanza.New(stanza.Message, ""))
		sess.End(stream.Fail(stream.Conflict, ""))
		start := time.Now()
		w.close()
		if d := time.Since(start); d > goodbyeTime+time.Second {
			t.Error("it took", d)
		}
	})
}

// A stanza in the buffer of a reader whose session has gone is not dealt with.
func TestStanzasBehindTheEndOfASessionAreNotTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		client, sess := w.bound(nil)
		r := read(client)
		sess.End(stream.Fail(stream.Conflict, ""))
		go io.WriteString(client, "<iq type='get' id='1' to='a.example'><x xmlns='y'/></iq>")
		if got := r.take(); strings.Contains(got, "id='1'") {
			t.Error("answered", got)
		}
		<-w.ended
		client.Close()
		w.close()
	})
}

func TestADefectEndsOneConnectionOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.srv.Router.Answers = nil // whoever asks something finds a defect
		client, sess := w.bound(nil)
		r := read(client)
		io.WriteString(client, "<iq type='get' id='1' to='a.example'><x xmlns='y'/></iq>")
		r.wants(t, "<internal-server-error ", "</stream:stream>")
		<-w.ended
		sess.Drain()
		if w.log.defects() == "" {
			t.Error("nothing was logged")
		}
		client.Close()
		w.close()
	})
}

// FuzzBoundSession writes bytes to a session that has negotiated everything. What
// it answers is XML to another parser, nothing in the program breaks, another
// session gets only what may come from this one, and all goroutines end.
func FuzzBoundSession(f *testing.F) {
	for _, s := range []string{
		"<message to='juliet@a.example/balcony'><body>x</body></message>",
		"<message to='juliet@a.example/balcony' from='juliet@a.example/balcony'/>",
		"<presence/><presence to='@'/><presence type='subscribe' to='juliet@a.example'/>",
		"<iq type='get' id='1' to='a.example'><x xmlns='y'/></iq><iq type='set' id='s'><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>",
		"<enable xmlns='urn:xmpp:sm:3'/><r xmlns='urn:xmpp:sm:3'/><a xmlns='urn:xmpp:sm:3' h='0'/><message/><r xmlns='urn:xmpp:sm:3'/>",
		"<enable xmlns='urn:xmpp:sm:3'/><a xmlns='urn:xmpp:sm:3' h='4294967295'/>",
		"<inactive xmlns='urn:xmpp:csi:0'/><message to='romeo@a.example/phone'><active xmlns='http://jabber.org/protocol/chatstates'/></message><active xmlns='urn:xmpp:csi:0'/>",
		"<message to='romeo@a.example' type='groupchat' xml:lang='de'><forged xmlns='z'/><a:b xmlns:a='c' a:d='e'>&lt;&#13;</a:b><![CDATA[]]></message>",
		"</stream:stream>", "<message", "<!DOCTYPE x>", "\x00", "<iq/>", "<iq type='get' id=''/>", "<iq type='result' id='1' to='a.example'/>",
	} {
		f.Add([]byte(s), uint16(7))
	}
	f.Fuzz(func(t *testing.T, b []byte, cut uint16) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld()
			heard := &ear{}
			w.online.Bind(session.New(w.srv.Sessions, "c2", peer, 2, heard, session.Facts{}), online.Policy{})
			client, sess := w.bound(nil)
			answers := read(client)
			at := int(cut) % (len(b) + 1)
			client.Write(b[:at])
			client.Write(b[at:])
			client.Write([]byte("</stream:stream>"))
			synctest.Wait()
			client.Close()
			<-w.ended
			<-answers.done
			w.close()
			if d := w.log.defects(); d != "" {
				t.Error(d)
			}
			said := answers.b.String()
			if !strings.HasSuffix(said, "</stream:stream>") { // cut off inside a stanza of its own
				said += "</stream:stream>"
			}
			isXML(t, said)
			for _, from := range isXML(t, heard.b.String()+"</stream:stream>") {
				if from != sess.JID.String() {
					t.Errorf("somebody heard %q from %q", heard.b.String(), from)
				}
			}
		})
	})
}

// isXML reads what stands on a stream behind its header, with another parser. It
// returns the senders of its stanzas.
func isXML(t *testing.T, s string) (from []string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader("<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>" + s))
	for depth := 0; ; {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) && depth == 0 {
			return from
		}
		if err != nil {
			t.Fatalf("not XML: %v in %q", err, s)
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			if depth++; depth == 2 && tok.Name.Space == stanza.NSClient {
				sender := ""
				for _, a := range tok.Attr {
					if a.Name.Local == "from" && a.Name.Space == "" {
						sender = a.Value
					}
				}
				from = append(from, sender)
			}
			if tok.Name.Local == "forged" {
				t.Errorf("a forged child came through: %q", s)
			}
		case xml.EndElement:
			depth--
		}
	}
}

// ear is a wire that only listens.
type ear struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (e *ear) Write(p []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.b.Write(p)
}
func (e *ear) End([]byte, *stream.Error) {}
func (e *ear) Cut()                      {}
