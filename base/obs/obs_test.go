package obs

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func get(h http.Handler, path string) (int, string) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	return w.Code, w.Body.String()
}

func TestFiguresAreThoseOfTheTable(t *testing.T) {
	m := NewMetrics(Build{Version: "v1", Go: "go1", FIPS: "off", SQLite: "3"})
	m.Source(func(emit Emit) { emit("chancery_sessions", 7, "connected") })
	_, text := get(m.Handler(), "/metrics")
	for _, want := range []string{
		`chancery_build_info{commit="",fips="off",go="go1",sqlite="3",version="v1"} 1`,
		`chancery_sessions{state="connected"} 7`,
		`go_goroutines`, `process_open_fds`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s", want)
		}
	}
}

func TestUnknownFigureIsAMistakeOfTheProgram(t *testing.T) {
	m := NewMetrics(Build{})
	m.Source(func(emit Emit) { emit("chancery_typo", 1) })
	defer func() {
		if recover() == nil {
			t.Error("nobody noticed")
		}
	}()
	m.Collect(make(chan prometheus.Metric, 9))
}

func TestReadinessIsAskedOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked, broken := 0, errors.New("connection refused")
		h := NewHealth(Check{"listeners", func(context.Context) error { return nil }},
			Check{"database", func(context.Context) error { asked++; return broken }})
		mux := http.NewServeMux()
		h.Mount(mux)
		for range 3 {
			code, text := get(mux, "/readyz")
			if code != 503 || !strings.Contains(text, `"database":"connection refused"`) || !strings.Contains(text, `"listeners":"ok"`) {
				t.Error(code, text)
			}
		}
		if asked != 1 {
			t.Errorf("asked %d times", asked)
		}
		broken = nil
		time.Sleep(checkRest)
		if code, text := get(mux, "/readyz"); code != 200 {
			t.Error(code, text)
		}
		if code, _ := get(mux, "/healthz"); code != 200 {
			t.Error(code)
		}
	})
}

func TestHangingCheckIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHealth(Check{"database", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }})
		if r := h.Ready(t.Context()); r.Ready {
			t.Error("ready")
		}
	})
}

func TestBuildSaysWhatIsLinked(t *testing.T) {
	if b := ReadBuild(); !strings.HasPrefix(b.SQLite, "3.") || b.FIPS == "" || !strings.HasPrefix(b.Go, "go1.") {
		t.Errorf("%+v", b)
	}
}
