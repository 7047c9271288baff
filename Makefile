# make dev tries it, make test proves it. Flags for the server: make dev FLAGS=--fresh

GO          ?= go
FLAGS       ?=
STATICCHECK ?= honnef.co/go/tools/cmd/staticcheck@v0.8.2

.PHONY: dev test check build interop

dev: build
	@exec bin/chancery dev $(FLAGS)

test:
	$(GO) test ./...

# Static checks. What is generated must be what is committed.
check:
	@bad=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$bad" || { echo "not formatted with gofmt:" $$bad; exit 1; }
	$(GO) mod tidy -diff
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...
	$(GO) generate ./...
	git diff --exit-code

build:
	@$(GO) build -trimpath -o bin/chancery ./cmd/chancery

# Stock clients against a server that is started as the README says, on both databases.
interop:
	$(GO) run ./test/interop $(FLAGS)
