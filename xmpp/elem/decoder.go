package elem

import (
	"bytes"
	"slices"
	"sync"
)

// Event is what the decoder found.
type Event uint8

// The events of a stream.
const (
	// StreamOpen is a stream header. Its namespace is that of streams.
	StreamOpen Event = iota + 1
	// TopElement is a complete child of the stream.
	TopElement
	// StreamClose is the end tag of the stream. Nothing comes after it.
	StreamClose
)

// Decoder reads one direction of one stream. It belongs to the goroutine that
// reads. It never reads by itself: bytes are put into Space, announced by
// Filled, and Next is called until it says ErrMore.
//
// An idle decoder that was told to Release holds no buffer.
type Decoder struct {
	content string // content namespace of the stream
	limits  Limits
	state   state
	err     error // Next fails with this for good

	// What the stream header left in scope for every stanza.
	streamName string    // as written, for the end tag
	header     []binding // prefixes
	def        string    // default namespace

	w    *work // nil while nothing is buffered
	elem Element
}

type state uint8

const (
	atStart  state = iota // before anything: an XML declaration may come
	atHeader              // the header must come
	open
	closed
)

// binding is a prefix in scope.
type binding struct{ prefix, uri string }

// work is what a decoder needs only while it has bytes.
type work struct {
	buf  []byte
	r, n int // buf[r:n] is not consumed; r is where the current element begins

	// Of the element that begins at r; offsets count from there.
	pos   int     // read up to here
	stack []frame // elements that are open
	inner int     // begin of the content
	tag   tag     // of the element within that is being read
	top   tag     // of the top-level element
	scope []binding
	parts []Part
	elems int
	name  Name // of the top-level element
	cdata int  // begin of the CDATA section that pos is in; 0 when it is in none

	// Canonical content is out followed by the source from done to pos. As
	// long as the source is canonical itself, out stays empty.
	out  []byte
	done int

	// A tag that is not complete is looked at again when its end is there or
	// it has grown twofold: see wait.
	seen, again int
	quote       byte

	names nameCache // outlives elements and streams
}

// frame is an open element.
type frame struct {
	start, colon, end int32  // its name in the source, for the end tag
	scope             int32  // length of work.scope outside of it
	ns                string // its namespace: the default one in canonical form
	def               string // the default namespace in scope in the source
	content           bool   // a child in the content namespace declares none
}

const (
	bufferSize = 8 << 10
	// maxKept bounds the buffers that go back to the pool with other scratch.
	maxKept = 16 << 10
)

var works = sync.Pool{New: func() any { return &work{buf: make([]byte, bufferSize)} }}

// NewDecoder makes a decoder for a stream whose content namespace is content.
// Bounds that are zero are those for peers that have not proved who they are.
func NewDecoder(content string, l Limits) *Decoder {
	return &Decoder{content: content, limits: l.withDefaults()}
}

// SetLimits changes the bounds, as after authentication.
func (d *Decoder) SetLimits(l Limits) { d.limits = l.withDefaults() }

// Space is where the reader may read into. It is never empty.
func (d *Decoder) Space() []byte {
	if d.w == nil {
		d.w = works.Get().(*work)
	}
	w := d.w
	if w.r > 0 && (w.r == w.n || w.n == len(w.buf)) {
		w.n = copy(w.buf, w.buf[w.r:w.n])
		w.r = 0
	}
	switch {
	case w.n == 0 && len(w.buf) > maxKept:
		w.buf = make([]byte, bufferSize)
	case w.n == len(w.buf):
		// Next refused what is larger than the limit already; with the limit
		// itself in the way there must still be room to notice that.
		size := max(min(2*len(w.buf), d.limits.Bytes+512), len(w.buf)+512)
		w.buf = append(make([]byte, 0, size), w.buf[:w.n]...)[:size]
	}
	return w.buf[w.n:]
}

// Filled says that n bytes were put at the beginning of Space.
func (d *Decoder) Filled(n int) { d.w.n += n }

// Buffered is the number of bytes that are not consumed: after <starttls/> it
// must be 0 (RFC 6120 §5.4.3.3).
func (d *Decoder) Buffered() int {
	if d.w == nil {
		return 0
	}
	return d.w.n - d.w.r
}

// Partial tells, after Next said ErrMore, whether an element has begun.
func (d *Decoder) Partial() bool { return d.Buffered() > 0 }

// Reset begins a new stream (RFC 6120 §4.3.3): a header must come next. Bytes
// that are buffered belong to the new stream.
func (d *Decoder) Reset() {
	d.state, d.err = atStart, nil
	d.streamName, d.header, d.def = "", nil, ""
	if d.w != nil {
		d.w.begin()
	}
}

// Discard drops what is buffered.
func (d *Decoder) Discard() {
	if d.w != nil {
		d.w.r, d.w.n = 0, 0
		d.w.begin()
	}
}

// Release gives the buffer back if nothing is in it. The last element is not
// valid after it.
func (d *Decoder) Release() {
	if d.w == nil || d.w.r < d.w.n {
		return
	}
	d.elem = Element{}
	d.w.release()
	d.w = nil
}

func (w *work) release() {
	w.r, w.n = 0, 0
	w.begin()
	clear(w.parts[:cap(w.parts)])
	clear(w.scope[:cap(w.scope)])
	clear(w.stack[:cap(w.stack)])
	w.name = Name{}
	if len(w.buf) > maxKept || cap(w.out) > maxKept || cap(w.parts) > 128 {
		return // the pool keeps no large ones
	}
	works.Put(w)
}

// begin forgets the element that was read.
func (w *work) begin() {
	w.pos, w.inner, w.elems, w.cdata, w.done = 0, 0, 0, 0, 0
	w.seen, w.again, w.quote = 0, 0, 0
	w.stack, w.scope, w.parts, w.out = w.stack[:0], w.scope[:0], w.parts[:0], w.out[:0]
}

// Element is a stream header or a top-level element. It is valid until the
// next call of Next, Space, Discard or Release; Inner and Parts are valid for
// ever and must not be changed.
type Element struct {
	Name Name

	// Prefix is the prefix as it was written, and Default the default namespace
	// in scope within: of a header that says how the peer wants to talk
	// (RFC 6120 §4.8).
	Prefix, Default string

	// Inner is the canonical content, relative to the element's own namespace.
	Inner []byte
	Parts []Part

	src   []byte
	attrs []attr
}

// Attr is the value of an attribute in no namespace.
func (e *Element) Attr(local string) ([]byte, bool) {
	for i := range e.attrs {
		a := &e.attrs[i]
		if a.kind == plain && string(a.name(e.src)) == local {
			return a.value(e.src), true
		}
	}
	return nil, false
}

// Lang is xml:lang.
func (e *Element) Lang() ([]byte, bool) {
	for i := range e.attrs {
		a := &e.attrs[i]
		if a.kind == byXML && string(a.local(e.src)) == "lang" {
			return a.value(e.src), true
		}
	}
	return nil, false
}

// Node is the whole element as a tree, without attributes in foreign
// namespaces: for what is negotiated, where speed does not matter.
func (e *Element) Node() *Node {
	n := New(e.Name.Space, e.Name.Local)
	for i := range e.attrs {
		a := &e.attrs[i]
		if a.kind == plain || a.kind == byXML {
			n.WithAttr(string(a.name(e.src)), string(a.value(e.src)))
		}
	}
	space := e.Name.Space
	if isContent(space) {
		space = NSClient
	}
	return n.parseContent(e.Inner, space)
}

// Element is what the last event is about.
func (d *Decoder) Element() *Element { return &d.elem }

// Next gives the next event, ErrMore, or an *Error after which the stream is
// over.
func (d *Decoder) Next() (Event, error) {
	if d.err != nil {
		return 0, d.err
	}
	if d.w == nil {
		return 0, ErrMore
	}
	ev, err := d.next()
	if err != nil && err != ErrMore {
		d.err = err
	}
	return ev, err
}

func (d *Decoder) next() (Event, error) {
	w := d.w
	if d.state == closed {
		w.r = w.n
		return StreamClose, nil
	}
	if d.state == atStart {
		if err := d.declaration(); err != nil {
			return 0, err
		}
	}
	if len(w.stack) == 0 && w.pos == 0 {
		w.r = skipSpace(w.buf[:w.n], w.r)
	}
	s := w.buf[w.r:w.n]
	if len(s) == 0 {
		return 0, ErrMore
	}
	ev, err := Event(0), ErrMore
	if w.ready(s) {
		ev, err = d.top(s)
	}
	if err == ErrMore {
		if len(s) > d.limits.Bytes {
			err = tooMuch("element is too large")
		}
		return 0, err
	}
	if err != nil {
		return 0, err
	}
	if w.pos > d.limits.Bytes {
		return 0, tooMuch("element is too large")
	}
	w.r += w.pos
	w.begin()
	return ev, nil
}

// top reads one item of the stream: the header, a child, the end tag.
func (d *Decoder) top(s []byte) (Event, error) {
	w := d.w
	if len(w.stack) == 0 {
		switch {
		case s[0] != '<' && d.state == open:
			return 0, &Error{"bad-format", "text between stanzas"}
		case s[0] != '<':
			return 0, notWellFormed("text before the stream header")
		case len(s) == 1:
			return 0, ErrMore
		case s[1] == '/':
			return d.closeStream(s)
		case s[1] == '!' || s[1] == '?':
			return 0, d.markup(s, 0)
		}
	}
	if d.state == atHeader {
		return d.openStream(s)
	}
	if err := d.element(s); err != nil {
		return 0, err
	}
	return TopElement, nil
}

// declaration reads <?xml …?>, which may only be the very first thing.
func (d *Decoder) declaration() error {
	const begin, longest = "<?xml", 256
	w := d.w
	s := w.buf[w.r:w.n]
	if len(s) == 0 {
		return ErrMore
	}
	if len(s) <= len(begin) {
		if string(s) == begin[:len(s)] {
			return ErrMore
		}
		d.state = atHeader
		return nil
	}
	if string(s[:len(begin)]) != begin || class[s[len(begin)]]&space == 0 {
		d.state = atHeader
		return nil
	}
	end := bytes.Index(s[:min(len(s), longest)], []byte("?>"))
	if end < 0 {
		if len(s) >= longest {
			return notWellFormed("bad XML declaration")
		}
		return ErrMore
	}
	if err := checkDeclaration(s[len(begin):end]); err != nil {
		return err
	}
	w.r += end + 2
	d.state = atHeader
	return nil
}

// checkDeclaration reads the pseudo-attributes of an XML declaration with the
// means for a tag.
func checkDeclaration(s []byte) error {
	s = append(slices.Clone(s), '>')
	t := tag{limit: 4}
	if _, err := t.scanAttrs(s, 0); err != nil {
		return notWellFormed("bad XML declaration")
	}
	order := []string{"version", "encoding", "standalone"}
	for i := range t.attrs {
		a := &t.attrs[i]
		name, value := string(a.name(s)), s[a.val:a.end]
		at := slices.Index(order, name)
		switch {
		case at < 0 || i == 0 && name != "version":
			return notWellFormed("bad XML declaration")
		case name == "version" && string(value) != "1.0":
			return notWellFormed("only XML 1.0 is understood")
		case name == "encoding" && !bytes.EqualFold(value, []byte("UTF-8")):
			return &Error{"unsupported-encoding", "only UTF-8 is understood"}
		case name == "standalone" && string(value) != "yes" && string(value) != "no":
			return notWellFormed("bad XML declaration")
		}
		order = order[at+1:]
	}
	if len(t.attrs) == 0 {
		return notWellFormed("bad XML declaration")
	}
	return nil
}

// openStream reads the stream header (RFC 6120 §4.7, §4.8).
func (d *Decoder) openStream(s []byte) (Event, error) {
	w := d.w
	if err := d.startTag(s, 0); err != nil {
		return 0, err
	}
	f := &w.stack[0]
	if f.ns != NSStream {
		return 0, &Error{"invalid-namespace", "this is no stream header"}
	}
	if string(w.top.local(s)) != "stream" {
		return 0, &Error{"bad-format", "this is no stream header"}
	}
	if f.def != "" && f.def != d.content && f.def != NSStream {
		return 0, &Error{"invalid-namespace", "content namespace is not supported"}
	}
	d.streamName, d.def = string(s[f.start:f.end]), f.def
	d.header = slices.Clone(w.scope)
	d.state = open
	d.fill(s)
	if w.top.empty {
		// <stream:stream/> opens and closes; the close is next.
		d.state = closed
	}
	return StreamOpen, nil
}

func (d *Decoder) closeStream(s []byte) (Event, error) {
	if d.state != open {
		return 0, notWellFormed("end tag without a start tag")
	}
	end, err := endTag(s, 0, []byte(d.streamName))
	if err == ErrMore {
		return 0, d.w.wait(s, 0)
	}
	if err != nil {
		return 0, err
	}
	d.w.pos = end
	d.elem = Element{}
	d.state = closed
	return StreamClose, nil
}

// fill makes the public element of the top-level start tag.
func (d *Decoder) fill(s []byte) {
	w := d.w
	d.elem = Element{Name: w.name, Default: w.stack[0].def, src: s, attrs: w.top.attrs}
	if w.top.colon >= 0 {
		d.elem.Prefix = w.names.get(s[w.top.start:w.top.colon])
	}
}
