module berth.dev/addon-binaries/traefik

go 1.26.0

require (
	github.com/traefik/traefik/dynamic/ext v0.0.0-00010101000000-000000000000 // indirect
	github.com/traefik/traefik/v3 v3.7.11
)

// A replace counts only in the module that is built, so those of Traefik's go.mod are said again.
// Three differ: dynamic/ext is not in Traefik's module and a stub stands in; lego is a copy without
// its DNS providers, made by ../build beside the copy of this folder; and go-http-auth is the older
// commit of the same fork, because the newer one is not to be had from every module proxy.
replace (
	github.com/abbot/go-http-auth => github.com/containous/go-http-auth v0.4.1-0.20200324110947-a37a7636d23e
	github.com/go-acme/lego/v5 => ../lego-trimmed
	github.com/gorilla/mux => github.com/containous/mux v0.0.0-20250523120546-41b6ec3aed59
	github.com/traefik/traefik/dynamic/ext => ./ext
)

exclude github.com/tencentcloud/tencentcloud-sdk-go v3.0.83+incompatible
