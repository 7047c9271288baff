// Package api is administration as JSON over HTTP, on a Unix socket in the data folder that only the server's own user and
// root can open. What can be asked stands in routes.go; who asks is known from the socket, so there are no passwords here.
//
// An answer is a JSON value. An error is {"error":{"code":…,"text":…}} with a fitting status. What goes on (a log, a trace, an
// import) is one JSON object a line; a last line with "error" says that it ended badly.
package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"time"

	"chancery/admin/ops"
)

const (
	maxBody    = 64 << 10 // of a request, but for imports
	maxLine    = 8 << 10  // of an import
	readTime   = 10 * time.Second
	idleTime   = 2 * time.Minute
	writeTime  = 30 * time.Second // for one answer, or one line of those that go on
	endingTime = 2 * time.Second  // for answers under way when the server stops
)

// Server answers administrators.
type Server struct {
	Ops *ops.Ops
	Log *slog.Logger

	// Extra is served as it is, by path: /debug/pprof/, /metrics. It is reached with the right of the socket alone.
	Extra map[string]http.Handler
}

// Serve answers on the socket until ctx ends. It closes the socket.
func (s *Server) Serve(ctx context.Context, socket *Socket) error {
	srv := &http.Server{
		Handler: s.Handler(), ReadHeaderTimeout: readTime, IdleTimeout: idleTime, MaxHeaderBytes: 16 << 10,
		ErrorLog:    slog.NewLogLogger(s.Log.Handler(), slog.LevelWarn),
		BaseContext: func(net.Listener) context.Context { return ctx }, // its end ends what goes on
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, actorKey{}, socket.actor(c))
		},
	}
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), endingTime)
		defer cancel()
		stopped <- errors.Join(srv.Shutdown(ending), srv.Close())
	})
	err := srv.Serve(socket)
	if !stop() {
		<-stopped
	}
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	return errors.Join(err, socket.Close())
}

// Handler answers requests whose context carries an actor; to all others nothing is allowed.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	for _, r := range routes() {
		mux.HandleFunc(r.method+" "+r.path, s.handle(r))
	}
	for path, h := range s.Extra {
		mux.Handle(path, s.onlyActors(h))
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		answerError(w, &ops.Error{Code: ops.NotFound, Text: fmt.Sprintf("there is no %s %s; are the program and the server of the same version?", r.Method, r.URL.Path)})
	})
	return mux
}

type actorKey struct{}

func actorOf(r *http.Request) ops.Actor {
	a, _ := r.Context().Value(actorKey{}).(ops.Actor)
	if a.Name == "" {
		a.Name = "nobody"
	}
	return a
}

func (s *Server) onlyActors(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if by := actorOf(r); !by.May(ops.ReadStatus) {
			answerError(w, &ops.Error{Code: ops.Denied, Text: by.Name + " may not see this"})
			return
		}
		h.ServeHTTP(w, r)
	})
}

func (s *Server) handle(route route) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		defer s.recover(w, r)
		c := &call{Request: r, w: w, by: actorOf(r), ops: s.Ops}
		deadline := http.NewResponseController(w)
		_ = deadline.SetWriteDeadline(time.Time{}) // of the request before this one
		if route.stream == nil {
			r.Body = http.MaxBytesReader(w, r.Body, maxBody)
			_ = deadline.SetWriteDeadline(time.Now().Add(writeTime))
			result, err := route.do(c)
			if err != nil {
				answerError(w, err)
				return
			}
			answer(w, http.StatusOK, result)
			return
		}
		if err := route.stream(c); err != nil && r.Context().Err() == nil {
			c.fail(err)
		}
	}
}

// recover keeps a mistake of the program to one answer.
func (s *Server) recover(w http.ResponseWriter, r *http.Request) {
	v := recover()
	if v == nil {
		return
	}
	if v == http.ErrAbortHandler {
		panic(v)
	}
	s.Log.Error("panic while answering an administrator", "path", r.URL.Path, "err", v, "stack", string(debug.Stack()))
	answerError(w, &ops.Error{Code: ops.Internal, Text: "the server made a mistake; its log says more"})
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

type errorAnswer struct {
	Error *ops.Error `json:"error"`
}

func answerError(w http.ResponseWriter, err error) {
	e := asError(err)
	answer(w, statusOf(e.Code), errorAnswer{e})
}

func asError(err error) *ops.Error {
	var e *ops.Error
	var tooLong *http.MaxBytesError
	switch {
	case errors.As(err, &e):
		return e
	case errors.As(err, &tooLong):
		return &ops.Error{Code: ops.Invalid, Text: fmt.Sprintf("the request is longer than %d bytes", tooLong.Limit)}
	}
	return &ops.Error{Code: ops.Internal, Text: err.Error()}
}

func statusOf(c ops.Code) int {
	switch c {
	case ops.Invalid:
		return http.StatusBadRequest
	case ops.Denied:
		return http.StatusForbidden
	case ops.NotFound:
		return http.StatusNotFound
	case ops.Exists:
		return http.StatusConflict
	case ops.Unavailable:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}
