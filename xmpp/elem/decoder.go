package elem

import "sync"

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

const (
	bufferSize = 8 << 10
	// maxKept bounds the buffers that go back to the pool with other scratch.
	maxKept = 16 << 10
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
	uris  []string // of the attributes of the tag that is being read
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

// SkipSpace drops white space between elements that is buffered, so that
// Buffered counts only what says something.
func (d *Decoder) SkipSpace() {
	if d.w != nil {
		d.w.r = skipSpace(d.w.buf[:d.w.n], d.w.r)
	}
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
	clear(w.uris[:cap(w.uris)])
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
