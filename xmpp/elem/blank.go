package elem

// SkipSpace drops white space between elements that is buffered, so that
// Buffered counts only what says something.
func (d *Decoder) SkipSpace() {
	if d.w != nil {
		d.w.r = skipSpace(d.w.buf[:d.w.n], d.w.r)
	}
}
