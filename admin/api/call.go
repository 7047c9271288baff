package api

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"chancery/admin/ops"
)

// call is one request on its way through a route.
type call struct {
	*http.Request
	w     http.ResponseWriter
	by    ops.Actor
	ops   *ops.Ops
	began bool // a line of the answer is out
}

// body reads the request as one JSON value. Unknown keys are errors: they are typing mistakes, or meant for a newer server.
func (c *call) body(into any) error {
	d := json.NewDecoder(c.Body)
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil {
		if _, more := d.Token(); more != io.EOF {
			err = errors.New("something follows the JSON value")
		}
	}
	var tooLong *http.MaxBytesError
	if err == nil || errors.As(err, &tooLong) {
		return err
	}
	return &ops.Error{Code: ops.Invalid, Text: "the request is not what it should be: " + err.Error()}
}

// query values.
func (c *call) text(key string) string { return c.URL.Query().Get(key) }

func (c *call) number(key string) (int64, error) {
	s := c.text(key)
	if s == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, &ops.Error{Code: ops.Invalid, Text: key + " must be a number"}
	}
	return n, nil
}

// choice is nil when the key is absent.
func (c *call) choice(key string) (*bool, error) {
	s := c.text(key)
	if s == "" {
		return nil, nil
	}
	b, err := strconv.ParseBool(s)
	if err != nil {
		return nil, &ops.Error{Code: ops.Invalid, Text: key + " must be true or false"}
	}
	return &b, nil
}

// begin sends the head of an answer that goes on, so that the other side knows it has begun.
func (c *call) begin() error {
	c.began = true
	c.w.Header().Set("Content-Type", "application/jsonl")
	c.w.WriteHeader(http.StatusOK)
	return http.NewResponseController(c.w).Flush()
}

// line sends one JSON object of an answer that goes on.
func (c *call) line(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return c.rawLine(b)
}

func (c *call) rawLine(b []byte) error {
	out := http.NewResponseController(c.w)
	_ = out.SetWriteDeadline(time.Now().Add(writeTime))
	if _, err := c.w.Write(append(b[:len(b):len(b)], '\n')); err != nil {
		return err
	}
	return out.Flush()
}

// fail ends an answer that goes on with an error.
func (c *call) fail(err error) {
	if c.began {
		_ = c.line(errorAnswer{asError(err)})
		return
	}
	answerError(c.w, err)
}
